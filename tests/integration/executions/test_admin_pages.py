"""What the console's pages tell at a glance: where an execution stands, what it is related to, how its firings fared; and their buttons."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from agentplatform.lib.clock import now
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind
from executions.models import Execution, NodeExecution
from tests.factories import make_execution, make_node_execution, make_user
from tests.waiters import make_wait

pytestmark = pytest.mark.django_db

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def console() -> Client:
    return console_of(get_user_model().objects.create_superuser("root"))


def console_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def onlooker() -> Any:
    """Return somebody who may look at executions, and no more."""
    user = make_user()
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="view_execution"))
    return user


def address(row: Any) -> str:
    return reverse(f"admin:executions_{row._meta.model_name}_change", args=[row.pk])


def page(console: Client, row: Any) -> str:
    response = console.get(address(row))
    assert response.status_code == 200
    return str(response.content.decode())


def listed(console: Client, **query: str) -> str:
    return str(console.get(reverse("admin:executions_execution_changelist"), query).content.decode())


def words(text: str) -> str:
    """Return what is read on a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def make_waiting(kind: WaitKind, **fields: Any) -> Execution:
    execution = make_execution(status=Status.WAITING, launched_at=now(), started_at=now())
    make_wait(execution, kind=kind, **fields)
    return execution


class TestStanding:
    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"status": Status.RUNNING, "is_paused": True}, "Begins nothing more until it is resumed"),
            ({"status": Status.RUNNING, "is_stopping": True}, "A node has failed; what runs may finish"),
            ({"status": Status.CANCELLING}, "What still runs is being stopped"),
            ({"status": Status.WAITING}, "Waits for its next attempt"),
            ({"status": Status.QUEUED, "launched_at": now()}, "Sent, not begun"),
            ({"status": Status.QUEUED}, "Is number 1 in line"),
        ],
    )
    def test_is_told_in_the_list_and_on_the_page(self, console, fields, told):
        execution = make_execution(**fields)

        assert told in listed(console)
        assert told in page(console, execution)

    @pytest.mark.parametrize(
        ("kind", "fields", "told"),
        [
            (WaitKind.APPROVAL, {"title": "Pay Ada?"}, "Waits for an approval: Pay Ada?"),
            (WaitKind.EVENT, {"event": "invoice.paid"}, "Waits for the event invoice.paid"),
            (WaitKind.DECISION, {"title": "Was it sent?"}, "Waits for a decision: Was it sent?"),
            (WaitKind.CHILD, {}, "Waits for a sub-graph"),
        ],
    )
    def test_says_what_is_waited_for(self, console, kind, fields, told):
        execution = make_waiting(kind, **fields)

        assert told in listed(console)
        assert told in page(console, execution)

    def test_says_until_when(self, console):
        make_waiting(WaitKind.TIMER, title="", due_at=now().replace(year=2040, month=5, day=6))

        assert "Waits for a timer, until 6 May 2040" in listed(console)

    def test_counts_many_waits_and_names_those_of_people_first(self, console):
        execution = make_waiting(WaitKind.TIMER)
        for number in range(12):
            make_wait(execution, f"node-{number}", kind=WaitKind.APPROVAL)

        assert "Waits for 12 approvals and a timer" in listed(console)

    def test_shows_what_needs_a_person_as_a_badge(self, console):
        make_waiting(WaitKind.DECISION)
        make_execution(is_paused=True)
        make_execution(is_paused=True, status=Status.CANCELLED)

        text = words(listed(console))

        assert (text.count("needs decision"), text.count("paused")) == (1, 1)

    @pytest.mark.parametrize("need", ["decision", "approval", "event", "timer", "resume"])
    def test_is_filtered_by(self, console, need):
        found = {
            **{
                kind.lower(): make_waiting(kind)
                for kind in (WaitKind.DECISION, WaitKind.APPROVAL, WaitKind.EVENT, WaitKind.TIMER)
            },
            "resume": make_execution(is_paused=True),
        }
        make_execution(is_paused=True, status=Status.CANCELLED)

        text = listed(console, needs=need)

        assert [name for name, one in found.items() if str(one.pk) in text] == [need]

    def test_leads_to_the_answer_those_who_may_give_it(self, console):
        execution = make_waiting(WaitKind.APPROVAL, title="Pay?")
        firing = NodeExecution.objects.get(execution=execution)
        NodeExecution.objects.filter(pk=firing.pk).update(waits=1)

        shown = [page(console, execution), page(console, firing)]

        assert all("#answer" in text for text in shown)
        assert "#answer" not in page(console_of(onlooker()), execution)


class TestLineage:
    def test_leads_to_what_started_it_and_back(self, console):
        root = make_execution(status=Status.RUNNING)
        parent = make_execution(root.version, parent_id=root.pk, root_id=root.pk, depth=1, parent_node="call")
        child = make_execution(
            root.version, parent_id=parent.pk, root_id=root.pk, depth=2, parent_node="call", parent_path=[1]
        )

        of_root, of_parent, of_child = (page(console, one) for one in (root, parent, child))

        assert address(parent) in of_root
        assert address(child) not in of_root
        assert address(root) in of_parent
        assert address(child) in of_parent
        assert address(parent) in of_child
        assert address(root) in of_child
        assert "Started by its node call #2, at depth 2" in words(of_child)

    def test_leads_from_a_retry_to_what_it_goes_on_from_and_back(self, console):
        ended = make_execution(status=Status.FAILED)
        again = make_execution(ended.version, retried_from_id=ended.pk)

        assert address(again) in page(console, ended)
        assert address(ended) in page(console, again)

    def test_counts_many_and_leads_to_a_list_of_them(self, console):
        parent = make_execution(status=Status.RUNNING)
        for number in range(12):
            status = Status.FAILED if number == 7 else Status.SUCCEEDED
            make_execution(
                parent.version, status=status, parent_id=parent.pk, parent_node="only", root_id=parent.pk, depth=1
            )
        stranger = make_execution(parent.version)

        text = page(console, parent)
        children = listed(console, parent_id__exact=str(parent.pk))
        failed = listed(console, parent_id__exact=str(parent.pk), status__exact="FAILED")

        assert "Show all (12) SUCCEEDED 11 FAILED 1" in words(text)
        assert f"?parent_id__exact={parent.pk}&amp;status__exact=FAILED" in text
        assert "Sub-graphs of one execution" in children
        assert (children.count("action-checkbox"), failed.count("action-checkbox")) > (0, 0)
        assert str(stranger.pk) not in children

    @pytest.mark.parametrize(
        "query", [{"parent_id__exact": HOSTILE}, {"retried_from_id__exact": "1"}, {"needs": HOSTILE}]
    )
    def test_list_of_nonsense_is_no_error(self, console, query):
        response = console.get(reverse("admin:executions_execution_changelist"), query, follow=True)

        assert response.status_code == 200
        assert "<img src=x" not in response.content.decode()

    def test_is_left_out_where_there_is_none(self, console):
        assert "Related executions" not in page(console, make_execution())

    def test_is_shown_where_what_it_came_from_was_dropped(self, console):
        gone, also_gone = make_execution().pk, make_execution().pk
        orphan = make_execution(parent_id=gone, root_id=gone, depth=1, retried_from_id=also_gone)
        Execution.objects.filter(pk__in=[gone, also_gone]).delete()

        text = page(console, orphan)

        assert str(gone) in text
        assert str(also_gone) in text

    def test_asks_as_little_of_many_as_of_one(self, console, django_assert_max_num_queries):
        parent = make_execution(status=Status.WAITING)
        for number in range(30):
            make_execution(parent.version, parent_id=parent.pk, parent_node="only", root_id=parent.pk, depth=1)
            make_wait(parent, f"node-{number}", title="Pay?")
        page(console, parent)

        with django_assert_max_num_queries(22):
            page(console, parent)


class TestFiring:
    def test_shows_every_attempt_also_one_that_was_cut_off(self, console):
        began = now() - timedelta(minutes=5)
        earlier = {
            "attempt": 1,
            "started_at": began.isoformat(),
            "ended_at": (began + timedelta(seconds=8)).isoformat(),
            "code": "TIMEOUT",
            "message": "Too slow.",
            "cost_microcredits": 700_000,
        }
        firing = make_node_execution(
            make_execution(), attempt=3, crashes=1, history=[earlier], cost_microcredits=900_000, started_at=now()
        )

        text = words(page(console, firing))

        assert re.search(r"1 FAILED [^$]* 8\.0 s \$0\.70 TIMEOUT Too slow\.", text)
        assert "2 CUT OFF Its worker was lost, or stopped." in text
        assert re.search(r"3 SUCCEEDED [^$]*\$0\.20", text)
        assert "Workers lost 1" in text

    def test_shows_when_it_begins_again(self, console):
        due_at = now().replace(year=2040, month=5, day=6)
        execution = make_execution(status=Status.WAITING)
        firing = make_node_execution(execution, status=NodeStatus.PENDING, attempt=2, due_at=due_at)

        assert "Attempt 2 begins at 6 May 2040" in words(page(console, firing))
        assert "Begins again at 6 May 2040" in page(console, execution)

    def test_folds_away_its_idempotency_key_and_what_else_only_developers_need(self, console):
        firing = make_node_execution(make_execution(), item_path=[3, 1], worker="host:1")

        told, folded = page(console, firing).split("Technical")

        assert f"{firing.execution_id}:only:3,1" in folded
        assert "host:1" in folded
        assert "host:1" not in told

    def test_that_was_taken_over_shows_what_came_out_and_leads_there(self, console):
        ended = make_execution(status=Status.FAILED)
        ran = make_node_execution(ended, inputs={"asked": "before"}, outputs={"output": ["kept from before"]})
        again = make_execution(ended.version, retried_from_id=ended.pk)
        firing = make_node_execution(again, origin_id=ended.pk)

        text = page(console, firing)

        assert "kept from before" in text
        assert address(ran) in text
        assert address(ended) in text
        assert "Taken over from an earlier execution" in page(console, again)

    def test_shows_its_sub_graphs(self, console):
        parent = make_execution(status=Status.RUNNING)
        firing = make_node_execution(parent, status=NodeStatus.RUNNING, item_path=[1])
        fields = {"parent_id": parent.pk, "parent_node": "only", "root_id": parent.pk, "depth": 1}
        own = make_execution(parent.version, parent_path=[1], **fields)
        other = make_execution(parent.version, parent_path=[2], **fields)

        text = page(console, firing)

        assert address(own) in text
        assert address(other) not in text

    def test_leads_to_a_retry_from_there_once_it_has_ended(self, console):
        ended = make_node_execution(make_execution(status=Status.FAILED), status=NodeStatus.FAILED)
        going = make_node_execution(make_execution(status=Status.RUNNING))

        assert "?mode=from_node&amp;node=only" in page(console, ended)
        assert "mode=from_node" not in page(console, going)

    def test_asks_little(self, console, django_assert_max_num_queries):
        execution = make_waiting(WaitKind.APPROVAL)
        firing = NodeExecution.objects.get(execution=execution)
        NodeExecution.objects.filter(pk=firing.pk).update(waits=1)
        page(console, firing)

        with django_assert_max_num_queries(14):
            page(console, firing)


class TestButtons:
    @pytest.mark.parametrize(
        ("before", "offered"),
        [
            ({"status": Status.RUNNING}, ["pause", "cancel"]),
            ({"status": Status.QUEUED}, ["pause", "cancel"]),
            ({"status": Status.WAITING, "is_paused": True}, ["resume", "cancel"]),
            ({"status": Status.CANCELLING}, []),
            ({"status": Status.FAILED}, ["retry"]),
            ({"status": Status.SUCCEEDED}, ["retry"]),
        ],
    )
    def test_are_those_that_apply(self, console, before, offered):
        text = page(console, make_execution(**before))

        assert [name for name in ("resume", "pause", "cancel", "retry") if f"/{name}/" in text] == offered

    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [
            ("cancel", {}, {"status": Status.CANCELLED}),
            ("pause", {}, {"is_paused": True}),
            ("resume", {"is_paused": True}, {"is_paused": False}),
        ],
    )
    def test_do_what_they_say_and_leave_a_trace(self, console, name, before, after):
        execution = make_execution(**before)

        response = press(console, execution, name)

        assert response.url == address(execution)
        assert Execution.objects.filter(pk=execution.pk, **after).exists()
        assert LogEntry.objects.get().object_id == str(execution.pk)

    @pytest.mark.parametrize("name", ["cancel", "pause", "resume"])
    def test_leave_what_has_ended_alone(self, console, name):
        execution = make_execution(status=Status.SUCCEEDED)

        response = press(console, execution, name, follow=True)

        assert "It has ended before" in response.content.decode()
        assert not LogEntry.objects.exists()

    def test_are_not_there_for_those_who_may_only_look(self):
        client, execution = console_of(onlooker()), make_execution()

        assert "/do/" not in page(client, execution)
        assert press(client, execution, "cancel").status_code == 403
        assert "/retry/" not in page(client, make_execution(status=Status.FAILED))

    def test_are_pressed_not_followed(self, console):
        assert console.get(lever(make_execution(), "cancel")).status_code == 405
        assert press(console, make_execution(), "delete").status_code == 404

    def test_refuse_a_form_from_elsewhere(self):
        client = Client(enforce_csrf_checks=True)
        client.force_login(get_user_model().objects.create_superuser("root"))
        execution = make_execution()

        assert press(client, execution, "cancel").status_code == 403
        assert Execution.objects.get(pk=execution.pk).status == Status.QUEUED


def lever(execution: Execution, name: str) -> str:
    return reverse("admin:executions_execution_do", args=[execution.pk, name])


def press(console: Client, execution: Execution, name: str, **options: Any) -> Any:
    return console.post(lever(execution, name), **options)


def test_nothing_that_users_wrote_is_markup(console):
    execution = make_waiting(WaitKind.APPROVAL, title=HOSTILE, event=HOSTILE)
    make_wait(execution, "other", kind=WaitKind.EVENT, event=HOSTILE)
    graph = execution.graph
    graph.name = HOSTILE
    graph.save()
    make_execution(execution.version, parent_id=execution.pk, parent_node=HOSTILE, depth=1, root_id=execution.pk)
    child = make_execution(
        execution.version,
        parent_id=execution.pk,
        parent_node=HOSTILE,
        depth=1,
        status=Status.FAILED,
        error_code=HOSTILE,
    )
    attempt = {"attempt": HOSTILE, "started_at": HOSTILE, "code": HOSTILE, "message": HOSTILE, "cost_microcredits": 0}
    attempts = [attempt, attempt | {"attempt": 1}]
    firing = make_node_execution(
        child, HOSTILE, history=attempts, attempt=2, waits=1, usage={HOSTILE: HOSTILE}, outputs={HOSTILE: [HOSTILE]}
    )

    shown = [listed(console), *(page(console, one) for one in (execution, child, firing))]

    assert all("&lt;img src=x" in text and "<img src=x" not in text for text in shown)


@pytest.mark.parametrize(
    ("add", "heading"),
    [("integrations_credential", "Add credential"), ("executions_webhook", "Add webhook"), ("auth_group", "Add group")],
)
def test_a_page_to_add_something_says_so_and_leads_to_no_other(console, add, heading):
    text = str(console.get(reverse(f"admin:{add}_add")).content.decode())

    assert words(re.search(r"<h1.*?</h1>", text, re.DOTALL)[0]) == heading
    assert 'class="addlink' not in text


def test_a_list_counts_what_was_found_where_something_was_looked_for(console):
    at = reverse("admin:graphs_node_changelist")

    whole, found = console.get(at).content.decode(), console.get(at, {"q": "x"}).content.decode()

    assert ("Show all" in words(whole), "0 results ( Show all )" in words(found)) == (False, True)
