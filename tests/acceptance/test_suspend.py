"""What waits holds nothing, survives every worker, and goes on when somebody says so; on real workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth import get_user_model
from django.db.models import F
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from blocks import registry
from blocks.flow.collect_items import CollectItemsBlock
from executions import services, waits
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.models import Execution, NodeExecution, Wait
from executions.waits import Reply
from graphs.models import GraphVersion
from tests.acceptance.crew import BLOCKS, SHORT_LEASES, Crew, one_way, running_beat, start_many, wait_for_end, working
from tests.acceptance.probes import PROBES, ActOnce
from tests.blocks import facts_of, node
from tests.factories import make_published
from tests.invariants import assert_invariants_hold
from tests.servers import wait_until
from tests.waiters import wait_of, waiter, waiting_graph

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ASK = {"approval": {"title": "Send it?"}}
EXTRA = {"AGENTPLATFORM_EXTRA_BLOCKS": f"{BLOCKS['AGENTPLATFORM_EXTRA_BLOCKS']},tests.waiters:WAITERS"}


@pytest.fixture(scope="module")
def crew(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Workers with short leases that know how to wait."""
    environment = {**{name: str(value) for name, value in SHORT_LEASES.items()}, **EXTRA}
    with working(tmp_path_factory.mktemp("crew"), environment) as crew:
        yield crew


@pytest.fixture(autouse=True)
def _short_leases(settings: Any) -> None:
    registry.register(*PROBES)
    for name, value in SHORT_LEASES.items():
        setattr(settings, name, value)


@pytest.fixture(autouse=True)
def _sound() -> Iterator[None]:
    yield
    assert_invariants_hold(grace_s=5.0)


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as broker:
        yield broker


def start(version: GraphVersion) -> Execution:
    return services.start(version_id=version.pk, owner_id=version.graph.owner_id)


def rested(execution: Execution) -> Execution:
    """Return the execution once all of it waits; nobody reconciles meanwhile."""
    waiting = Execution.objects.filter(pk=execution.pk, status=Status.WAITING)
    wait_until(waiting.exists, within_s=60, what="The wait")
    return waiting.get()


def api_of(execution: Execution) -> APIClient:
    client = APIClient()
    client.force_authenticate(execution.owner)
    return client


def deploy(crew: Crew) -> None:
    """Stop a worker as a deployment does, and start the next."""
    crew.default.stop()
    crew.replace_default()


def a_day_passes(execution: Execution) -> None:
    """Let what is due within a day be due now."""
    open_waits = Wait.objects.open().filter(execution_id=execution.pk)
    open_waits.update(due_at=F("due_at") - timedelta(days=1, seconds=1))


def branching() -> GraphVersion:
    """Return a graph of which one branch waits while the other, on both queues, goes on."""
    owner = waiting_graph(ASK).graph.owner
    nodes = [waiter("ask", ASK), node("go", "test.echo-io", input=1), node("on", "test.echo-cpu")]
    nodes += [node("both", "test.pair"), node("out", "test.output", name="both")]
    links = [
        LinkSpec("go", "output", "on", "input"),
        LinkSpec("ask", "output", "both", "a"),
        LinkSpec("on", "output", "both", "b"),
        LinkSpec("both", "output", "out", "input"),
    ]
    return make_published(nodes, links, owner=owner)


def for_each(count: int) -> GraphVersion:
    """Return a graph that asks for each of so many items, and gathers the answers."""
    owner = waiting_graph(ASK).graph.owner
    nodes = [node("items", "test.stream", input="x", count=count), waiter("ask", ASK)]
    nodes += [
        NodeSpec("all", CollectItemsBlock.id, block=facts_of(CollectItemsBlock)),
        node("out", "test.output", name="all"),
    ]
    links = [
        LinkSpec("items", "item", "ask", "input"),
        LinkSpec("ask", "output", "all", "item"),
        LinkSpec("all", "items", "out", "input"),
    ]
    return make_published(nodes, links, owner=owner)


def test_an_approval_is_answered_after_a_deploy(crew):
    execution = rested(start(waiting_graph({"approval": {"title": "Send it?", "data": {"to": "Ada"}}})))
    crew.default.kill9()
    crew.replace_default()
    api = api_of(execution)

    (asked,) = api.get("/api/v1/approvals/").data["results"]
    # Nobody reconciles meanwhile: it goes on by itself, or not at all.
    answered = api.post(f"/api/v1/approvals/{asked['id']}/answer/", {"approved": True, "comment": "Fine."})
    ended = services.wait(execution.pk, timeout_s=60)

    assert (answered.status_code, ended.status) == (200, Status.SUCCEEDED)
    (came,) = ended.outputs["came"]
    assert (came["approved"], came["data"], came["comment"]) == (True, {"to": "Ada"}, "Fine.")


def test_waiting_takes_no_place_from_what_works(crew):
    waiting = [start(waiting_graph(ASK)) for _ in range(40)]
    for execution in waiting:
        rested(execution)

    ended = services.wait(start(make_published([node("go", "test.echo-io", input=1)])).pk, timeout_s=60)

    assert ended.status == Status.SUCCEEDED
    leased = NodeExecution.objects.filter(execution_id__in=[one.pk for one in waiting], lease_expires_at__isnull=False)
    assert not leased.exists()


def test_an_execution_waits_as_soon_as_no_branch_goes_on(crew):
    execution = rested(start(branching()))
    done = NodeExecution.objects.get(execution=execution, node_key="on").status

    waits.answer(wait_of(execution), by=execution.owner, reply=Reply(approved=True))

    ended = services.wait(execution.pk, timeout_s=60)
    assert (done, ended.status, ended.outputs["both"][1]) == (NodeStatus.SUCCEEDED, Status.SUCCEEDED, 1)


@pytest.mark.parametrize("count", [12, pytest.param(130, marks=pytest.mark.slow)])
def test_each_item_waits_for_its_own_answer(crew, broker, count):
    execution = rested(start(for_each(count)))
    asked = list(Wait.objects.open().filter(execution_id=execution.pk).order_by("-item_path"))
    sent = broker.llen("default")

    for wait in asked:
        waits.answer(wait, by=execution.owner, reply=Reply(approved=wait.item_path != [2]))

    wait_for_end([execution.pk])
    execution.refresh_from_db()
    assert (len(asked), sent, execution.status) == (count, 0, Status.SUCCEEDED)
    approved = [came[0]["approved"] for came in execution.outputs["all"]]
    assert [place for place, yes in enumerate(approved) if not yes] == [2]
    assert set(NodeExecution.objects.filter(execution=execution).values_list("attempt", flat=True)) == {1}


def test_beat_wakes_what_has_slept_long_enough(crew):
    execution = rested(start(waiting_graph({"seconds": 86_400})))
    Wait.objects.filter(execution_id=execution.pk).update(due_at=now() - timedelta(seconds=1))

    with running_beat(crew.environment):
        ended = services.wait(execution.pk, timeout_s=60)

    assert (ended.status, ended.outputs) == (Status.SUCCEEDED, {"came": [None]})


@pytest.mark.slow
def test_a_day_and_an_approval_pass_over_three_deploys(crew):
    asked = {"approval": {"title": "Still?", "timeout_s": 86_400}}
    execution = rested(start(waiting_graph({"seconds": 86_400}, asked)))
    due_at = wait_of(execution).due_at

    with running_beat(crew.environment):
        deploy(crew)
        kept = wait_of(execution).due_at
        a_day_passes(execution)
        wait_until(Wait.objects.open().filter(kind=WaitKind.APPROVAL).exists, within_s=60, what="The approval")
        deploy(crew)
        question = wait_of(execution)
        deploy(crew)
        a_day_passes(execution)
        late = api_of(execution).post(f"/api/v1/approvals/{question.pk}/answer/", {"approved": True})
        services.wait(execution.pk, timeout_s=60)

    ended = Execution.objects.get(pk=execution.pk)
    assert (kept, late.status_code) == (due_at, 409)
    assert (ended.status, ended.error_code) == (Status.FAILED, "APPROVAL_TIMED_OUT")
    # It began once, and once more after each wait: no deploy made it begin.
    assert set(NodeExecution.objects.filter(execution=execution).values_list("attempt", "crashes")) == {(1, 0)}


def test_a_timer_that_is_short_enough_to_see_ends_by_itself(crew):
    execution = rested(start(waiting_graph({"approval": {"title": "Quick?", "timeout_s": 1, "on_timeout": "reject"}})))

    wait_for_end([execution.pk], within_s=60)

    ended = Execution.objects.get(pk=execution.pk)
    assert (ended.status, ended.outputs["came"][0]["approved"]) == (Status.SUCCEEDED, False)


def test_an_event_wakes_what_waits_for_it(crew):
    execution = rested(start(waiting_graph({"event": {"name": "paid", "where": {"invoice": 12}}})))

    sent = api_of(execution).post("/api/v1/events/", {"name": "paid", "payload": {"invoice": 12, "amount": 80}})

    ended = services.wait(execution.pk, timeout_s=60)
    assert (sent.data, ended.outputs) == ({"firings": 1}, {"came": [{"invoice": 12, "amount": 80}]})


class TestADecision:
    @pytest.fixture
    def cut_short(self, crew: Crew) -> Execution:
        """Return an execution whose worker was killed in the middle of what must not be repeated."""
        (execution_id,) = start_many(one_way(ActOnce, seconds=3.0), 1)
        wait_until(lambda: crew.effects_of([execution_id]), what="The effect")
        crew.default.kill9()
        crew.replace_default()
        wait_for_end([execution_id], or_rest=True)
        return Execution.objects.get(pk=execution_id)

    def decide(self, execution: Execution, **answer: Any) -> Execution:
        wait = wait_of(execution)
        decided = api_of(execution).post(f"/api/v1/approvals/{wait.pk}/answer/", {"answer": answer})
        assert decided.status_code == 200
        return services.wait(execution.pk, timeout_s=60)

    def test_is_asked_for_wherever_people_look(self, crew, cut_short):
        api, console = api_of(cut_short), Client()
        console.force_login(get_user_model().objects.create_superuser("root"))
        wait = wait_of(cut_short)

        shown = api.get(f"/api/v1/executions/{cut_short.pk}/").data
        (row,) = api.get(f"/api/v1/executions/{cut_short.pk}/nodes/?node=act").data["results"]
        page = console.get(reverse("admin:executions_execution_change", args=[cut_short.pk])).content.decode()
        asking = console.get(reverse("admin:executions_wait_change", args=[wait.pk])).content.decode()

        assert (cut_short.status, shown["status"]) == (Status.WAITING, "WAITING")
        assert [(one["kind"], one["title"]) for one in shown["waits_for"]] == [("DECISION", "Did act happen?")]
        assert (row["status"], row["error"]["code"]) == ("WAITING", "NEEDS_DECISION")
        assert ("Did act happen?" in page, "A worker was lost" in asking) == (True, True)
        assert set(crew.effects_of([cut_short.pk]).values()) == {1}

    def test_may_be_to_run_it_again(self, crew, cut_short):
        ended = self.decide(cut_short, choice="run_again")

        assert (ended.status, ended.outputs) == (Status.SUCCEEDED, {"result": 0})
        assert set(crew.effects_of([cut_short.pk]).values()) == {2}

    def test_may_be_to_take_an_output(self, crew, cut_short):
        ended = self.decide(cut_short, choice="take_output", outputs={"output": ["as it was sent"]})

        assert (ended.status, ended.outputs) == (Status.SUCCEEDED, {"result": "as it was sent"})
        assert set(crew.effects_of([cut_short.pk]).values()) == {1}

    def test_may_be_to_let_it_fail(self, crew, cut_short):
        ended = self.decide(cut_short, choice="fail")

        assert (ended.status, ended.error_code, ended.error_node) == (Status.FAILED, "INTERRUPTED", "act")
        assert set(crew.effects_of([cut_short.pk]).values()) == {1}
        closed = Wait.objects.get(execution_id=cut_short.pk)
        assert (closed.kind, closed.status, closed.answered_by) == (
            WaitKind.DECISION,
            WaitStatus.ANSWERED,
            cut_short.owner,
        )

    def test_is_asked_for_again_after_another_crash(self, crew, cut_short):
        wait = wait_of(cut_short)
        waits.answer(wait, by=cut_short.owner, reply=Reply(answer={"choice": "run_again"}))
        wait_until(lambda: sum(crew.effects_of([cut_short.pk]).values()) == 2, what="The second effect")
        crew.default.kill9()
        crew.replace_default()

        second = Wait.objects.open().filter(execution_id=cut_short.pk)
        wait_until(lambda: (wait_for_end([cut_short.pk], or_rest=True), second.exists())[1], what="The second question")

        assert second.get().call_key == "decision-2"
