"""What happens is written down for those who subscribed, in the transaction that makes it happen, and for nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import RFC_4122

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.timezone import now

from executions import own_subscriptions, services, stopping
from executions.engine.outgoing import OutgoingEvent
from executions.engine.status import Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.models import Delivery, Execution, OutgoingDelivery, Subscription, Wait
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_execution, make_published
from tests.ids import born_at
from tests.receiver import subscribe
from tests.webhooks import make_sender

pytestmark = pytest.mark.django_db

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def version() -> GraphVersion:
    return make_published([node("only", "test.source")])


def told(subscription: Subscription) -> list[str]:
    return [one.event for one in OutgoingDelivery.objects.filter(subscription=subscription).order_by("id")]


def end(execution: Execution, status: str = Status.SUCCEEDED, **fields: Any) -> None:
    Execution.objects.filter(pk=execution.pk).update(status=status, ended_at=Now(), **fields)


def begin(execution: Execution) -> None:
    Execution.objects.filter(pk=execution.pk).update(status=Status.RUNNING, started_at=Now())


def make_wait(execution: Execution, kind: str = WaitKind.APPROVAL, **fields: Any) -> Wait:
    return Wait.objects.create(
        execution_id=execution.pk, node_key="only", call_key="0", kind=kind, owner_id=execution.owner_id, **fields
    )


class TestAnExecution:
    def test_is_told_from_its_beginning_to_its_end(self, version):
        subscription, _ = subscribe(URL, version)
        execution = make_execution(version)

        begin(execution)
        end(execution, outputs={"answer": 42}, cost_microcredits=7)

        first, last = OutgoingDelivery.objects.filter(subscription=subscription).order_by("id")
        assert (first.event, last.event) == ("execution.started", "execution.succeeded")
        assert last.payload["type"] == "execution.succeeded"
        data = last.payload["data"]
        assert (data["execution"], data["graph"], data["graph_name"]) == (
            str(execution.pk),
            str(version.graph_id),
            version.graph.name,
        )
        assert (data["outputs"], data["left_out"], data["cost_microcredits"]) == ({"answer": 42}, [], 7)
        assert data["error"] is None
        assert (last.execution_id, last.subject_id, last.hops) == (execution.pk, execution.pk, 1)

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.BUDGET_EXCEEDED])
    def test_is_told_however_it_ends(self, version, status):
        subscription, _ = subscribe(URL, version)

        end(make_execution(version), status, error_code="BAD", error_message="It is.")

        (delivery,) = OutgoingDelivery.objects.filter(subscription=subscription)
        assert delivery.event == f"execution.{status.lower()}"
        assert delivery.payload["data"]["error"] == {"code": "BAD", "message": "It is.", "hint": "", "node": ""}

    def test_is_told_when_somebody_cancels_it_in_line(self, version):
        subscription, _ = subscribe(URL, version)
        execution = services.start(version_id=version.pk, owner_id=version.graph.owner_id, inputs={})

        stopping.cancel(execution)

        assert told(subscription) == ["execution.cancelled"]

    def test_is_told_once_though_it_waits_meanwhile(self, version):
        subscription, _ = subscribe(URL, version)
        execution = make_execution(version)

        begin(execution)
        Execution.objects.filter(pk=execution.pk).update(status=Status.WAITING)
        begin(execution)

        assert told(subscription) == ["execution.started"]

    def test_is_not_told_if_it_is_rolled_back(self, version):
        subscription, _ = subscribe(URL, version)
        execution = make_execution(version)

        with transaction.atomic():
            end(execution)
            within = told(subscription)
            transaction.set_rollback(True)

        assert (within, told(subscription)) == (["execution.succeeded"], [])

    def test_is_told_without_what_is_too_large(self, version):
        subscribe(URL, version)
        large = {"text": "x" * 70_000}

        end(make_execution(version), outputs=large)

        data = OutgoingDelivery.objects.get().payload["data"]
        assert (data["outputs"], data["left_out"]) == (None, ["outputs"])

    def test_is_not_told_of_a_sub_graph(self, version):
        subscription, _ = subscribe(URL, version)
        parent = make_execution(version)

        end(make_execution(version, parent_id=parent.pk, root_id=parent.pk, parent_node="only", depth=1))

        assert told(subscription) == []

    def test_counts_the_deliveries_that_led_to_it(self, version):
        sender = make_sender()
        graph = sender.webhook.graph
        own_subscriptions.create(owner_id=graph.owner_id, name="out", url=URL)
        assert sender.send({}, headers={"Agentplatform-Hops": "3"}).status_code == 202

        end(Execution.objects.get(pk=Delivery.objects.get().execution_id))

        assert OutgoingDelivery.objects.get().hops == 4


class TestASubscription:
    @pytest.mark.parametrize(
        ("events", "heard"),
        [
            ([], ["execution.started", "execution.succeeded"]),
            (["execution"], ["execution.started", "execution.succeeded"]),
            (["execution.succeeded"], ["execution.succeeded"]),
            (["execution.failed", "approval"], []),
        ],
    )
    def test_hears_what_it_asked_for(self, version, events, heard):
        subscription, _ = subscribe(URL, version, events=events)
        execution = make_execution(version)

        begin(execution)
        end(execution)

        assert told(subscription) == heard

    def test_hears_of_its_graph_only(self, version):
        other = make_published([node("only", "test.source")], owner=version.graph.owner)
        subscription, _ = subscribe(URL, version, graph=version.graph)

        end(make_execution(other))
        end(make_execution(version))

        (delivery,) = OutgoingDelivery.objects.filter(subscription=subscription)
        assert delivery.payload["data"]["graph"] == str(version.graph_id)

    def test_hears_nothing_of_others(self, version):
        subscription, _ = subscribe(URL)

        end(make_execution(version))

        assert told(subscription) == []

    def test_hears_nothing_while_it_is_off_nor_while_its_owner_may_not_log_in(self, version):
        off, _ = subscribe(URL, version, is_enabled=False)
        on, _ = subscribe(URL, version)
        owner = version.graph.owner
        end(make_execution(version))
        owner.is_active = False
        owner.save()

        end(make_execution(version))

        assert (told(off), told(on)) == ([], ["execution.succeeded"])


def test_ids_that_the_database_makes_are_of_version_7_and_have_an_order_within_a_millisecond():
    with connection.cursor() as cursor:
        cursor.execute("SELECT executions_uuid7() FROM generate_series(1, 500)")
        ids = [id_ for (id_,) in cursor.fetchall()]

    moments = [id_.int >> 64 for id_ in ids]
    assert {(id_.version, id_.variant) for id_ in ids} == {(7, RFC_4122)}
    assert moments == sorted(moments)
    assert len(set(moments)) > len({id_.int >> 80 for id_ in ids})
    assert abs(born_at(ids[-1]) - now()) < timedelta(seconds=10)


class TestAQuestion:
    @pytest.mark.parametrize("kind", [WaitKind.APPROVAL, WaitKind.DECISION])
    @pytest.mark.parametrize("status", [WaitStatus.ANSWERED, WaitStatus.TIMED_OUT, WaitStatus.CANCELLED])
    def test_is_told_and_so_is_what_became_of_it(self, version, kind, status):
        subscription, _ = subscribe(URL, version)
        execution = make_execution(version, status=Status.WAITING)

        wait = make_wait(execution, kind, title="May it?", data={"amount": 3})
        owner = version.graph.owner
        Wait.objects.filter(pk=wait.pk).close(status, answered_at=Now(), answered_by=owner, answer={"approved": True})

        asked, became = OutgoingDelivery.objects.filter(subscription=subscription).order_by("id")
        assert (asked.event, became.event) == (f"{kind.lower()}.requested", f"{kind.lower()}.{status.lower()}")
        assert {asked.event, became.event} <= set(OutgoingEvent)
        assert (asked.payload["data"]["title"], asked.payload["data"]["data"]) == ("May it?", {"amount": 3})
        assert asked.payload["data"]["answer"] is None
        assert became.payload["data"]["answer"] == {"approved": True}
        assert became.payload["data"]["answered_by"] == owner.username
        assert (asked.subject_id, asked.execution_id) == (wait.pk, execution.pk)

    def test_of_a_sub_graph_belongs_to_the_outermost(self, version):
        inner = make_published([node("only", "test.source")], owner=version.graph.owner)
        subscription, _ = subscribe(URL, version, graph=version.graph)
        root = make_execution(version, status=Status.WAITING)
        child = make_execution(inner, status=Status.WAITING, parent_id=root.pk, root_id=root.pk, depth=1)

        make_wait(child)

        (delivery,) = OutgoingDelivery.objects.filter(subscription=subscription)
        assert delivery.payload["data"]["root_execution"] == str(root.pk)
        assert delivery.payload["data"]["execution"] == str(child.pk)

    @pytest.mark.parametrize("kind", [WaitKind.TIMER, WaitKind.EVENT, WaitKind.CHILD])
    def test_is_one_that_people_answer(self, version, kind):
        subscription, _ = subscribe(URL, version)

        make_wait(make_execution(version, status=Status.WAITING), kind)

        assert told(subscription) == []
