"""Starting an execution: the row first, the message after the commit, and nothing that could not be stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
from celery import current_app
from django.db import InterfaceError, connection, transaction

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import admission, outbox, reconcile, services
from executions.engine.spec import LinkSpec
from executions.engine.status import Status
from executions.errors import InputsInvalid, VersionNotPublished, WaitTimedOut
from executions.models import Execution
from graphs import services as graph_services
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import document_of, make_execution, make_published, make_user
from tests.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The broker of this process, empty before and after."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()


@contextmanager
def broker_away() -> Iterator[None]:
    """Send to an address where nobody listens, for a `with` block."""
    before = current_app.conf.broker_write_url, current_app.conf.result_backend
    _send_to("redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0")
    try:
        yield
    finally:
        _send_to(*before)


def _send_to(broker_url: str, backend_url: str) -> None:
    current_app.conf.broker_write_url, current_app.conf.result_backend = broker_url, backend_url
    # What is connected already would go on to the old address.
    current_app._pool = None  # type: ignore[attr-defined]
    current_app.amqp._producer_pool = None
    current_app._local = threading.local()  # type: ignore[attr-defined]
    current_app._backend_cache = None  # type: ignore[attr-defined]


def asking() -> GraphVersion:
    """Return a graph with an input that must be given and one that need not."""
    return make_published(
        [
            node("must", "test.input", name="must"),
            node("may", "test.input", name="may", default="as ever"),
            node("out", "test.output", name="out"),
        ],
        [LinkSpec("must", "output", "out", "input")],
    )


def meeting() -> GraphVersion:
    """Return a graph that begins with a chord."""
    nodes = [node("a", "test.echo-io", input=1), node("b", "test.echo-cpu", input=2), node("join", "test.pair-io")]
    return make_published(nodes, [LinkSpec("a", "output", "join", "a"), LinkSpec("b", "output", "join", "b")])


def start(version: GraphVersion, inputs: Any = None) -> Execution:
    return services.start(version_id=version.pk, owner_id=version.graph.owner_id, inputs=inputs)


#: What a caller in Python may hand in, by what is odd about it.
ODD: dict[str, Any] = {
    "half a pair": "\ud800",
    "half a pair in a key": {"\ud800": 1},
    "an object": object(),
    "bytes": b"bytes",
    "bytes that are no text": b"\xff",
    "a set": {1, 2},
    "a tuple": (1, 2),
    "a time": datetime(2026, 1, 1, tzinfo=UTC),
    "a date": date(2026, 1, 1),
    "a decimal": Decimal("1.5"),
    "an id": uuid7(),
    "a key that is no text": {(1, 2): 3},
    "a number beyond measure": 10**5000,
}


def tried(value: Any) -> str:
    """Return whether an input was kept, or the path of what was refused."""
    try:
        start(asking(), {"must": value}).refresh_from_db()
    except InputsInvalid as refusal:
        return refusal.path
    return "kept"


def start_and_regret(version: GraphVersion) -> None:
    with transaction.atomic():
        start(version, {"must": 1})
        raise RuntimeError("I have changed my mind.")


class TestStart:
    def test_keeps_the_row_and_sends_it(self, broker):
        version = asking()

        execution = start(version, {"must": {"a": [1, None, "ü"]}})

        stored = Execution.objects.get(pk=execution.pk)
        assert (stored.status, stored.inputs) == (Status.QUEUED, {"must": {"a": [1, None, "ü"]}})
        assert (stored.version_id, stored.graph_id, stored.launches) == (version.pk, version.graph_id, 1)
        assert stored.launched_at is not None
        wait_until(lambda: broker.llen("default") == 1, what="The message")

    def test_in_the_callers_transaction_sends_only_after_its_commit(self, broker):
        version = asking()

        with transaction.atomic():
            start(version, {"must": 1})
            time.sleep(0.1)  # what must not happen can not be waited for
            sent_before_commit = broker.llen("default")

        assert sent_before_commit == 0
        wait_until(lambda: broker.llen("default") == 1, what="The message")

    def test_in_a_callers_transaction_that_rolls_back_starts_nothing(self, broker):
        version = asking()

        with pytest.raises(RuntimeError, match="changed my mind"):
            start_and_regret(version)

        assert not Execution.objects.exists()
        start(version, {"must": 1})
        wait_until(lambda: broker.llen("default") == 1, what="The message of the second, and of it alone")

    def test_refuses_a_draft(self):
        graph = graph_services.create(owner_id=make_user().pk, document=document_of([node("only", "test.source")]))

        with pytest.raises(VersionNotPublished):
            start(graph.versions.get())

    def test_refuses_a_version_that_is_not_there(self):
        with pytest.raises(VersionNotPublished):
            services.start(version_id=uuid7(), owner_id=make_user().pk)


class TestWithoutABroker:
    @pytest.mark.parametrize("graph", [asking, pytest.param(meeting, marks=pytest.mark.slow)])
    def test_keeps_the_row_and_sends_it_and_the_next_once_the_broker_is_back(self, graph, broker):
        version = graph()
        inputs = {"must": 1} if graph is asking else {}
        with broker_away():
            first = start(version, inputs)
            assert outbox.flush(60)
        Execution.objects.filter(pk=first.pk).update(launched_at=now() - timedelta(minutes=1))

        launched = reconcile.reconcile()
        sent_again = broker.llen("default")
        start(version, inputs)

        assert (launched, sent_again) == (1, 1)
        wait_until(lambda: broker.llen("default") == 2, what="The message of the next")

    @pytest.mark.parametrize("graph", [asking, meeting])
    def test_does_not_let_the_caller_wait(self, graph):
        version = graph()

        with broker_away():
            before = time.monotonic()
            execution = start(version, {"must": 1} if graph is asking else {})
            took_s = time.monotonic() - before

        assert Execution.objects.get(pk=execution.pk).status == Status.QUEUED
        assert took_s < 4  # nothing is tried again before it returns

    @pytest.mark.slow
    def test_reconcile_does_not_wait_long_either(self):
        versions = [meeting() for _ in range(3)]
        executions = [make_execution(version, launched_at=now() - timedelta(minutes=1)) for version in versions]

        with broker_away():
            before = time.monotonic()
            found = reconcile.reconcile()
            took_s = time.monotonic() - before

        assert found == len(executions)
        assert took_s < 10


def fail() -> None:
    raise InterfaceError("The connection is gone.")


def leave_a_transaction() -> None:
    connection.set_autocommit(False)
    raise InterfaceError("The connection was lost as the transaction ended.")


class TestTheOutbox:
    @pytest.mark.parametrize("asked", [fail, leave_a_transaction])
    def test_goes_on_after_any_error_of_what_it_was_asked(self, broker, monkeypatch, asked):
        monkeypatch.setattr(outbox, "close_old_connections", fail)
        outbox.ask(asked)
        assert outbox.flush(10)
        standing = make_execution(asking(), launched_at=None, launches=0, inputs={"must": 1})

        admission.admit_soon()
        start(asking(), {"must": 1})

        wait_until(lambda: broker.llen("default") == 2, what="Both messages")
        assert Execution.objects.get(pk=standing.pk).launched_at

    def test_lets_what_is_accepted_side_by_side_share_a_message(self, broker, monkeypatch):
        monkeypatch.setattr(outbox, "LINGER_S", 30.0)
        version = asking()
        is_accepting, is_sent = threading.Event(), threading.Event()

        def accept() -> None:
            with outbox.accepting():
                is_accepting.set()
                assert is_sent.wait(30)
                start(version, {"must": 1})
            connection.close()

        beside = threading.Thread(target=accept)
        beside.start()
        assert is_accepting.wait(30)
        start(version, {"must": 1})
        is_sent.set()
        beside.join()

        assert outbox.flush(10)
        assert broker.llen("default") == 1

    def test_sends_at_once_where_nothing_else_is_accepted(self, broker, monkeypatch):
        monkeypatch.setattr(outbox, "LINGER_S", 30.0)

        start(asking(), {"must": 1})

        assert outbox.flush(10)
        assert broker.llen("default") == 1


class TestInputs:
    @pytest.mark.parametrize("inputs", [{}, None, {"may": 1}])
    def test_that_are_missing_are_refused(self, inputs):
        with pytest.raises(InputsInvalid, match="'must' is missing") as refusal:
            start(asking(), inputs)

        assert refusal.value.path == "inputs.must"

    def test_that_the_graph_does_not_have_are_refused(self):
        with pytest.raises(InputsInvalid, match="no input 'other'") as refusal:
            start(asking(), {"must": 1, "other": 2})

        assert refusal.value.path == "inputs.other"

    @pytest.mark.parametrize(
        "value",
        ["a\0b", {"a\0": 1}, [["\0"]], float("nan"), [float("inf")], {"a": -float("inf")}],
        ids=["NUL", "NUL in a key", "NUL deep", "NaN", "infinite", "minus infinite"],
    )
    def test_that_postgres_or_json_can_not_hold_are_refused(self, value):
        with pytest.raises(InputsInvalid) as refusal:
            start(asking(), {"must": value})

        assert refusal.value.path == "inputs.must"
        assert not Execution.objects.exists()

    @pytest.mark.parametrize("value", ODD.values(), ids=ODD)
    def test_that_are_not_json_are_refused_or_kept_but_never_crash(self, value):
        assert tried(value) in ("kept", "inputs.must")

    def test_that_have_no_end_are_refused(self):
        endless: list[Any] = []
        endless.append(endless)

        with pytest.raises(InputsInvalid):
            start(asking(), {"must": endless})

    def test_that_are_nested_without_measure_are_refused(self):
        deep: Any = 1
        for _ in range(100_000):
            deep = [deep]

        with pytest.raises(InputsInvalid):
            start(asking(), {"must": deep})

    def test_that_are_too_large_are_refused(self, settings):
        settings.AGENTPLATFORM_MAX_OUTPUT_BYTES = 1024

        with pytest.raises(InputsInvalid, match="bytes"):
            start(asking(), {"must": "x" * 1024})

    @pytest.mark.parametrize("value", ["NaN", "Infinity \\u0000", {"NaN": "-Infinity"}, "\\u0000", 1.5, -0.0, ""])
    def test_that_only_look_dangerous_are_kept(self, value):
        execution = start(asking(), {"must": value})

        execution.refresh_from_db()
        assert execution.inputs == {"must": value}


class TestWait:
    def test_returns_an_execution_that_has_ended(self):
        execution = make_execution(status=Status.FAILED)

        assert services.wait(execution.pk, timeout_s=0).pk == execution.pk

    def test_gives_up_in_time(self):
        execution = make_execution()

        with pytest.raises(WaitTimedOut, match="QUEUED"):
            services.wait(execution.pk, timeout_s=0.05)
