"""A firing that waits holds nothing, and goes on once: whoever answers, whenever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Group, Permission
from django.db import connection

from agentplatform.lib.clock import now
from executions import reconcile, waits
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.errors import AlreadyAnswered, AnswerInvalid, AnswerTooLate, EventInvalid, WaitClosed
from executions.models import Execution, NodeExecution, Wait
from executions.waits import Reply
from tests.blocks import node
from tests.factories import make_execution, make_published, make_user, rows_of
from tests.integration.executions.races import at_once
from tests.waiters import (
    BEGUN,
    CpuWaiter,
    GroupWaiter,
    InlineWaiter,
    PaidByUse,
    wait_of,
    waiter,
    waiting_graph,
    work_off,
)

pytestmark = pytest.mark.django_db(transaction=True)

ASK = {"approval": {"title": "Send it?"}}
HOUR = {"seconds": 3600}
YES = Reply(approved=True)


@pytest.fixture(autouse=True)
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The broker of this process, empty before and after; no worker takes anything from it."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()
    with connection.cursor() as cursor:
        # The heartbeat lives as long as the process; its connection must not outlive the test's database.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def suspended(*steps: dict[str, Any], **fields: Any) -> Execution:
    """Return an execution whose one firing waits for the first of these."""
    return work_off(make_execution(waiting_graph(*steps, **fields)))


def answer(execution: Execution, reply: Reply = YES) -> Wait:
    return waits.answer(wait_of(execution), by=execution.owner, reply=reply)


def let_pass(execution: Execution) -> None:
    """Let the time of the open wait be over."""
    Wait.objects.filter(execution_id=execution.pk).open().update(due_at=now() - timedelta(minutes=1))


def firing(execution: Execution, key: str = "ask") -> NodeExecution:
    return rows_of(execution.pk)[key, ()]


class TestAFiringThatWaits:
    def test_holds_no_lease_and_lets_the_execution_wait(self):
        execution = suspended(ASK)

        row = firing(execution)
        assert (execution.status, row.status) == (Status.WAITING, NodeStatus.WAITING)
        assert (row.lease_expires_at, row.ended_at, row.outputs, row.waits) == (None, None, {}, 1)

    def test_is_not_run_again_before_its_answer(self):
        execution = suspended(ASK)
        before = BEGUN[f"{execution.pk}:ask:"]

        work_off(execution)

        assert BEGUN[f"{execution.pk}:ask:"] == before == 1
        assert execution.status == Status.WAITING

    def test_goes_on_with_its_answer(self, broker):
        execution = suspended({"approval": {"title": "Send it?", "data": {"to": "Ada"}}})

        answer(execution, Reply(approved=True, comment="Fine."))
        sent = broker.llen("default")
        row = firing(execution)
        ended = work_off(execution)

        assert (sent, row.status, row.error_code) == (1, NodeStatus.PENDING, "")
        assert ended.status == Status.SUCCEEDED
        assert ended.outputs == {
            "came": [
                {
                    "approved": True,
                    "answer": None,
                    "data": {"to": "Ada"},
                    "answered_by": execution.owner.username,
                    "comment": "Fine.",
                }
            ]
        }

    def test_may_wait_several_times_and_finds_each_answer(self):
        execution = suspended(ASK, {"event": {"name": "paid"}}, HOUR)

        answer(execution, Reply(approved=False))
        work_off(execution)
        second = waits.send_event(owner_id=execution.owner_id, name="paid", payload=7)
        work_off(execution)
        let_pass(execution)
        third = waits.time_out()
        ended = work_off(execution)

        assert (second, third) == (1, [execution.pk])
        approval, event, nothing = ended.outputs["came"]
        assert (approval["approved"], event, nothing) == (False, 7, None)
        closed = Wait.objects.filter(execution_id=execution.pk).order_by("id")
        assert [(wait.call_key, wait.kind, wait.status) for wait in closed] == [
            ("wait-0", WaitKind.APPROVAL, WaitStatus.ANSWERED),
            ("wait-1", WaitKind.EVENT, WaitStatus.ANSWERED),
            ("wait-2", WaitKind.TIMER, WaitStatus.ANSWERED),
        ]

    def test_pays_for_each_time_it_ran_and_no_more(self):
        execution = suspended(ASK, HOUR)

        first = firing(execution).cost_microcredits, firing(execution).usage
        answer(execution)
        work_off(execution)
        let_pass(execution)
        waits.time_out()
        ended = work_off(execution)

        row = firing(execution)
        assert first == (row.cost_microcredits // 3, {"input_tokens": 10})
        assert (row.usage, row.attempt, row.history) == ({"input_tokens": 30}, 1, [])
        assert (ended.input_tokens, ended.cost_microcredits) == (30, row.cost_microcredits)

    def test_pays_once_for_what_is_paid_by_use(self):
        execution = suspended(ASK, HOUR, block=PaidByUse)

        unpaid = firing(execution).cost_microcredits
        answer(execution)
        work_off(execution)
        let_pass(execution)
        waits.time_out()
        ended = work_off(execution)

        assert (unpaid, ended.cost_microcredits) == (0, 7)

    def test_waits_on_the_cpu_queue_too(self):
        execution = suspended(ASK, block=CpuWaiter)

        assert execution.status == Status.WAITING

    def test_may_begin_its_waits_at_once(self):
        execution = suspended({"event": {"name": "one"}}, {"event": {"name": "two"}}, block=GroupWaiter)

        for name in ("one", "two", "one"):
            waits.send_event(owner_id=execution.owner_id, name=name, payload=name)
            work_off(execution)

        assert execution.outputs == {"came": ["one", "two"]}

    def test_can_not_be_one_that_only_computes(self):
        execution = suspended(ASK, block=InlineWaiter)

        assert (execution.status, execution.error_code) == (Status.FAILED, "INLINE_BLOCK_WAITS")

    def test_sleeps_here_what_is_short(self):
        execution = suspended({"seconds": 0.01})

        assert execution.status == Status.SUCCEEDED
        assert not Wait.objects.filter(execution_id=execution.pk).exists()

    @pytest.mark.parametrize("seconds", [-1, 400 * 86_400])
    def test_waits_for_a_year_at_most(self, seconds):
        execution = suspended({"seconds": seconds})

        assert (execution.status, execution.error_code) == (Status.FAILED, "WAIT_INVALID")

    def test_finds_its_answer_by_key_where_it_gives_one(self):
        again = {"approval": {"title": "Send it?", "key": "sending"}}
        execution = suspended(again, again)

        answer(execution)
        ended = work_off(execution)

        assert [one["approved"] for one in ended.outputs["came"]] == [True, True]
        assert Wait.objects.get(execution_id=execution.pk).call_key == "key-sending"

    def test_fails_where_it_waits_for_something_else_than_before(self):
        execution = suspended(ASK)
        Wait.objects.filter(execution_id=execution.pk).update(kind=WaitKind.EVENT, event="paid")

        waits.send_event(owner_id=execution.owner_id, name="paid")
        ended = work_off(execution)

        assert (ended.status, ended.error_code) == (Status.FAILED, "WAIT_CHANGED")

    def test_ends_with_its_execution(self):
        registered = waiting_graph(ASK)
        nodes = [waiter("ask", ASK), node("bad", "test.wrong-output", input=1)]
        execution = work_off(make_execution(make_published(nodes, owner=registered.graph.owner)))

        wait = Wait.objects.get(execution_id=execution.pk)
        assert (execution.status, wait.status) == (Status.FAILED, WaitStatus.CANCELLED)
        assert firing(execution).status == NodeStatus.CANCELLED


class TestWhoMayAnswer:
    @pytest.fixture
    def people(self) -> dict[str, Any]:
        owner, named, member, stranger, clerk = (make_user() for _ in range(5))
        group = Group.objects.create(name="Accounting")
        member.groups.add(group)
        clerk.user_permissions.add(Permission.objects.get(codename="change_wait"))
        clerk.is_staff = True
        clerk.save()
        return {"owner": owner, "named": named, "member": member, "stranger": stranger, "clerk": clerk, "group": group}

    def asked(self, people: dict[str, Any], **approval: Any) -> set[str]:
        """Return who may answer an approval of the owner."""
        execution = suspended({"approval": {"title": "Send it?", **approval}}, owner=people["owner"])
        wait = wait_of(execution)
        users = {who: user for who, user in people.items() if who != "group"}
        return {who for who, user in users.items() if Wait.objects.answerable_by(user).filter(pk=wait.pk).exists()}

    def test_the_owner_where_nobody_is_named(self, people):
        assert self.asked(people) == {"owner", "clerk"}

    @pytest.mark.parametrize("by", ["username", "pk"])
    def test_only_those_who_are_named(self, people, by):
        assert self.asked(people, users=[getattr(people["named"], by)]) == {"named", "clerk"}

    @pytest.mark.parametrize("by", ["name", "pk"])
    def test_the_members_of_a_group(self, people, by):
        assert self.asked(people, groups=[getattr(people["group"], by)]) == {"member", "clerk"}

    def test_users_and_members_alike(self, people):
        asked = self.asked(people, users=[people["named"].username, people["owner"].pk], groups=["Accounting"])

        assert asked == {"owner", "named", "member", "clerk"}

    @pytest.mark.parametrize("approval", [{"users": ["nobody"]}, {"users": [0]}, {"groups": ["nobodies"]}])
    def test_nobody_who_does_not_exist(self, approval):
        execution = suspended({"approval": {"title": "Send it?", **approval}})

        assert (execution.status, execution.error_code) == (Status.FAILED, "APPROVER_UNKNOWN")

    def test_nobody_who_has_left(self):
        gone = make_user()
        gone.is_active = False
        gone.save()

        execution = suspended({"approval": {"title": "Send it?", "users": [gone.username]}})

        assert execution.error_code == "APPROVER_UNKNOWN"


class TestAnApproval:
    def test_is_kept_with_who_and_when(self):
        execution = suspended({"approval": {"title": "Pay?", "data": {"to": "Ada"}, "editable": True}, "form": True})

        wait = answer(execution, Reply(True, {"amount": 12}, {"to": "Ben"}, "Today."))

        assert (wait.status, wait.answered_by, wait.comment) == (WaitStatus.ANSWERED, execution.owner, "Today.")
        assert wait.answered_at is not None
        assert wait.data == {"to": "Ada"}
        assert wait.answer == {"approved": True, "answer": {"amount": 12}, "data": {"to": "Ben"}}
        (came,) = work_off(execution).outputs["came"]
        assert (came["answer"], came["data"]) == ({"amount": 12, "note": ""}, {"to": "Ben"})

    @pytest.mark.parametrize(
        ("reply", "path"),
        [
            (Reply(answer={"amount": 1}), "approved"),
            (Reply(True), "answer"),
            (Reply(True, {"amount": -1}), "answer.amount"),
            (Reply(True, {"amount": "12"}), "answer.amount"),
            (Reply(True, ["amount"]), "answer"),
            (Reply(True, {"amount": 1, "note": "a\0b"}), "answer"),
            (Reply(True, {"amount": 1}, {"to": "Ben"}), "data"),
            (Reply(True, {"amount": 1}, comment="x" * 10_001), "comment"),
        ],
    )
    def test_is_refused_where_it_is_not_what_was_asked(self, reply, path):
        execution = suspended({"approval": {"title": "Pay?"}, "form": True})

        with pytest.raises(AnswerInvalid) as refused:
            answer(execution, reply)

        assert refused.value.path == path
        assert (wait_of(execution).answer, firing(execution).status) == (None, NodeStatus.WAITING)

    def test_that_rejects_need_not_fill_the_form_in(self):
        execution = suspended({"approval": {"title": "Pay?"}, "form": True})

        answer(execution, Reply(False))

        (came,) = work_off(execution).outputs["came"]
        assert (came["approved"], came["answer"]) == (False, None)

    def test_that_only_the_model_can_refuse_fails_the_firing(self):
        execution = suspended({"approval": {"title": "Pay?"}, "form": True})

        answer(execution, Reply(True, {"amount": 13}))

        ended = work_off(execution)
        assert (ended.status, ended.error_code) == (Status.FAILED, "ANSWER_INVALID")

    def test_is_taken_once(self):
        execution = suspended(ASK)
        wait = wait_of(execution)
        other = make_user()
        waits.answer(wait, by=execution.owner, reply=YES)

        with pytest.raises(AlreadyAnswered, match=execution.owner.username):
            waits.answer(wait, by=other, reply=YES)
        with pytest.raises(AlreadyAnswered):
            waits.answer(wait, by=execution.owner, reply=Reply(False))

        wait.refresh_from_db()
        assert (wait.answered_by, wait.answer) == (execution.owner, {"approved": True})

    def test_may_be_sent_again_by_whoever_gave_it(self, broker):
        execution = suspended(ASK)
        wait = wait_of(execution)
        first = waits.answer(wait, by=execution.owner, reply=YES)
        work_off(execution)
        sent = broker.llen("default")

        again = waits.answer(wait, by=execution.owner, reply=YES)

        assert (again.answered_at, broker.llen("default")) == (first.answered_at, sent)

    def test_of_many_at_once_counts_once(self):
        execution = suspended(ASK)
        wait = wait_of(execution)
        users = [make_user() for _ in range(8)]

        def give(number: int) -> bool:
            try:
                return bool(waits.answer(wait, by=users[number], reply=Reply(approved=number % 2 == 0)))
            except AlreadyAnswered:
                return False

        given = at_once(8, give)

        wait.refresh_from_db()
        assert given.count(True) == 1
        assert wait.answered_by == users[given.index(True)]
        assert wait.answer == {"approved": given.index(True) % 2 == 0}

    def test_comes_too_late_once_its_time_is_over(self):
        execution = suspended({"approval": {"title": "Send it?", "timeout_s": 60}})
        wait = wait_of(execution)
        let_pass(execution)
        wait.refresh_from_db()

        with pytest.raises(AnswerTooLate):
            waits.answer(wait, by=execution.owner, reply=YES)
        waits.time_out()
        wait.refresh_from_db()
        with pytest.raises(AnswerTooLate):
            waits.answer(wait, by=execution.owner, reply=YES)

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"status": Status.CANCELLED, "ended_at": now()}, "CANCELLED"),
            ({"status": Status.CANCELLING}, "CANCELLING"),
            ({"is_stopping": True, "error_code": "BOOM"}, "BOOM"),
        ],
    )
    def test_is_refused_where_the_execution_ends(self, fields, told):
        execution = suspended(ASK)
        Execution.objects.filter(pk=execution.pk).update(**fields)

        with pytest.raises(WaitClosed, match=told):
            answer(execution)

        assert wait_of(execution).answered_by is None


class TestTimeThatIsOver:
    def test_ends_a_timer_as_it_should(self, broker):
        execution = suspended(HOUR)
        wait = wait_of(execution)
        left = (wait.due_at - now()).total_seconds()
        early = waits.time_out()
        let_pass(execution)

        found = reconcile.reconcile()

        assert 3590 < left <= 3600
        assert (early, found, broker.llen("default")) == ([], 1, 1)
        assert work_off(execution).status == Status.SUCCEEDED

    @pytest.mark.parametrize(("action", "approved"), [("approve", True), ("reject", False)])
    def test_may_answer_for_a_person(self, action, approved):
        asked = {"title": "Send it?", "data": 7, "timeout_s": 60, "on_timeout": action}
        execution = suspended({"approval": asked})
        let_pass(execution)

        waits.time_out()

        (came,) = work_off(execution).outputs["came"]
        assert (came["approved"], came["data"], came["answered_by"]) == (approved, 7, "")
        assert Wait.objects.get(execution_id=execution.pk).status == WaitStatus.TIMED_OUT

    @pytest.mark.parametrize(
        ("step", "code"),
        [
            ({"approval": {"title": "Send it?", "timeout_s": 60}}, "APPROVAL_TIMED_OUT"),
            ({"event": {"name": "paid", "timeout_s": 60}}, "EVENT_TIMED_OUT"),
        ],
    )
    def test_fails_a_firing_otherwise(self, step, code):
        execution = suspended(step)
        let_pass(execution)

        waits.time_out()

        ended = work_off(execution)
        assert (ended.status, ended.error_code) == (Status.FAILED, code)

    def test_gives_the_default_of_an_event(self):
        execution = suspended({"event": {"name": "paid", "timeout_s": 60, "default": None}})
        let_pass(execution)

        waits.time_out()

        assert work_off(execution).outputs == {"came": [None]}

    def test_goes_unheard_while_the_execution_is_paused(self, broker):
        execution = suspended(HOUR)
        let_pass(execution)
        Execution.objects.filter(pk=execution.pk).update(is_paused=True)

        going = waits.time_out()

        assert (going, firing(execution).status) == ([], NodeStatus.PENDING)

    def test_is_seen_once_by_several_who_look(self):
        executions = [suspended(HOUR) for _ in range(3)]
        for execution in executions:
            let_pass(execution)

        found = at_once(4, lambda _: waits.time_out())

        assert sorted(one for some in found for one in some) == sorted(execution.pk for execution in executions)

    def test_and_an_answer_at_the_same_moment_make_one(self):
        asked = {"title": "Send it?", "timeout_s": 60, "on_timeout": "reject"}
        execution = suspended({"approval": asked})
        wait = wait_of(execution)

        def act(number: int) -> Any:
            if number:
                let_pass(execution)
                return waits.time_out()
            try:
                return waits.answer(wait, by=execution.owner, reply=YES)
            except AnswerTooLate:
                return None

        answered, timed_out = at_once(2, act)
        # What somebody else had locked is left to the next round.
        timed_out += waits.time_out()

        wait.refresh_from_db()
        assert (answered is not None) != bool(timed_out)
        assert wait.status == (WaitStatus.ANSWERED if answered else WaitStatus.TIMED_OUT)


class TestAnEvent:
    def test_reaches_every_firing_that_waits_for_it(self, broker):
        owner = make_user()
        first, second = (suspended({"event": {"name": "paid"}}, owner=owner) for _ in range(2))
        other = suspended({"event": {"name": "lost"}}, owner=owner)
        foreign = suspended({"event": {"name": "paid"}})

        told = waits.send_event(owner_id=owner.pk, name="paid", payload={"amount": 80})

        assert told == 2
        assert [work_off(one).outputs for one in (first, second)] == [{"came": [{"amount": 80}]}] * 2
        assert [work_off(one).status for one in (other, foreign)] == [Status.WAITING] * 2

    def test_must_contain_what_is_waited_for(self):
        execution = suspended({"event": {"name": "paid", "where": {"invoice": {"number": 12}}}})
        owner_id = execution.owner_id

        told = [
            waits.send_event(owner_id=owner_id, name="paid", payload=payload)
            for payload in (None, [1], {"invoice": {"number": 13}}, {"invoice": {"number": 12, "paid": True}}, None)
        ]

        assert told == [0, 0, 0, 1, 0]

    @pytest.mark.parametrize("payload", [None, 0, "", [], {}])
    def test_may_carry_anything(self, payload):
        execution = suspended({"event": {"name": "paid"}})

        waits.send_event(owner_id=execution.owner_id, name="paid", payload=payload)

        assert work_off(execution).outputs == {"came": [payload]}

    @pytest.mark.parametrize(
        ("name", "payload"),
        [("", 1), ("x" * 201, 1), ("a\0b", 1), ("paid", "a\0b"), ("paid", float("nan")), ("paid", "\ud800")],
    )
    def test_is_refused_where_it_can_not_be_stored(self, name, payload):
        with pytest.raises(EventInvalid):
            waits.send_event(owner_id=make_user().pk, name=name, payload=payload)

    def test_has_a_limited_size(self, settings):
        settings.AGENTPLATFORM_MAX_OUTPUT_BYTES = 1024

        with pytest.raises(EventInvalid, match="bytes"):
            waits.send_event(owner_id=make_user().pk, name="paid", payload="x" * 2000)

    def test_comes_too_late_for_a_wait_that_is_over(self):
        execution = suspended({"event": {"name": "paid", "timeout_s": 60}})
        let_pass(execution)

        assert waits.send_event(owner_id=execution.owner_id, name="paid") == 0


class TestTheExecution:
    def branches(self) -> Execution:
        """Return an execution of which one branch waits and the other can go on."""
        owner = waiting_graph(ASK).graph.owner
        nodes = [waiter("ask", ASK), node("go", "test.echo-io", input=1), node("on", "test.echo-cpu")]
        nodes += [node("both", "test.pair"), node("out", "test.output", name="both")]
        links = [
            LinkSpec("go", "output", "on", "input"),
            LinkSpec("ask", "output", "both", "a"),
            LinkSpec("on", "output", "both", "b"),
            LinkSpec("both", "output", "out", "input"),
        ]
        return make_execution(make_published(nodes, links, owner=owner))

    def test_runs_as_long_as_a_branch_can_go_on(self):
        execution = work_off(self.branches())
        one_waits = execution.status, firing(execution).status, firing(execution, "go").status

        all_wait = work_off(execution, only="cpu")

        assert one_waits == (Status.RUNNING, NodeStatus.WAITING, NodeStatus.SUCCEEDED)
        assert (all_wait.status, firing(execution, "on").status) == (Status.WAITING, NodeStatus.SUCCEEDED)

    def test_waits_too_when_a_message_was_lost(self, broker):
        execution = work_off(self.branches())
        broker.flushdb()
        Execution.objects.filter(pk=execution.pk).update(launched_at=now() - timedelta(minutes=5))

        found = reconcile.reconcile()

        assert (found, broker.llen("cpu")) == (1, 1)
        assert work_off(execution, only="cpu").status == Status.WAITING

    def test_that_waits_is_not_sent_again_and_again(self, broker):
        execution = suspended(ASK)
        Execution.objects.filter(pk=execution.pk).update(launched_at=now() - timedelta(days=5))

        assert (reconcile.reconcile(), broker.llen("default")) == (0, 0)

    def test_goes_on_after_the_message_of_an_answer_was_lost(self, broker):
        execution = suspended(ASK)
        answer(execution)
        broker.flushdb()
        Execution.objects.filter(pk=execution.pk).update(launched_at=now() - timedelta(minutes=5))

        assert (reconcile.reconcile(), broker.llen("default")) == (1, 1)

    def test_goes_on_after_the_answer_and_ends(self):
        execution = self.branches()
        for _ in range(2):
            work_off(execution)

        answer(execution)

        ended = work_off(execution)
        assert (ended.status, ended.outputs["both"][1]) == (Status.SUCCEEDED, 1)

    def test_is_not_kept_waiting_by_others_that_are_paused(self, broker, monkeypatch):
        monkeypatch.setattr(reconcile, "AT_ONCE", 1)
        first, second = (suspended(ASK) for _ in range(2))
        for execution in (first, second):
            answer(execution)
        Execution.objects.filter(pk__in=[first.pk, second.pk]).update(launched_at=now() - timedelta(minutes=5))
        Execution.objects.filter(pk=first.pk).update(is_paused=True)

        assert reconcile._find_due() == [second.pk]
