"""S25: a secret that a block returns, raises, prints or sends on is found nowhere afterwards, in no usual form."""

from __future__ import annotations

import io
import logging
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from agentplatform.lib.masking import Mask
from agentplatform.log import MaskedFormatter
from blocks import registry
from blocks.flow.wait_event import WaitEventBlock
from executions import services as executions
from executions import waits
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.invariants import check
from executions.models import Execution, NodeExecution, Wait
from graphs import services as graphs
from graphs.errors import GraphInvalid
from integrations import masks, services
from integrations.errors import CredentialInvalid
from tests.blocks import facts_of, node
from tests.factories import document_of, make_execution, make_published, make_user
from tests.keys import make_credential, new_secret, ran_version, run
from tests.leaky import LEAKY, WAYS, Leaks
from tests.live import path_of, stream, token_of
from tests.servers import running_web, running_worker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    registry.register(*LEAKY)
    services.forget()
    yield
    services.forget()


@pytest.fixture
def owner():
    return make_user()


@pytest.fixture
def secret(owner) -> str:
    secret = new_secret()
    make_credential(owner, secret)
    return secret


def leaking(how: str, key: str = "leak", **constants: str) -> NodeSpec:
    return NodeSpec(key, Leaks.id, {"how": how, **constants}, "continue", block=facts_of(Leaks))


def assert_nowhere(secret: str, *texts: str) -> None:
    """Fail if the database, or one of these texts, holds the secret."""
    mask = Mask([secret])
    assert [text[:200] for text in texts if mask.is_in(text)] == []
    assert check(only=["I11"]) == []


@pytest.mark.parametrize("how", [pytest.param(how, id=f"S25 {how}") for how in WAYS])
def test_what_a_block_gives_away_is_stored_nowhere(owner, secret, how):
    version = make_published(
        [leaking(how), node("next", "test.echo-io"), node("out", "test.output", name="result")],
        [LinkSpec("leak", "output", "next", "input"), LinkSpec("next", "output", "out", "input")],
        owner=owner,
    )

    execution, rows = ran_version(version)

    assert rows["leak"].status != NodeStatus.RUNNING
    answers = [
        client_of(owner).get(f"/api/v1/executions/{execution.pk}/{part}").content.decode() for part in ("", "nodes/")
    ]
    assert_nowhere(secret, *answers)


def test_what_is_left_says_that_something_was_there(owner, secret):
    _, rows = ran_version(make_published([leaking("in a text")], owner=owner))
    _, failed_rows = ran_version(make_published([leaking("raises")], owner=owner))

    assert rows["leak"].outputs == {"output": ["Key=***; and so on"]}
    assert failed_rows["leak"].error_message == "*** is not good"
    assert failed_rows["leak"].error_hint == "Try another than ***"


def test_s25_split_over_the_pieces_of_a_stream(owner, secret):
    _, rows = ran_version(make_published([leaking("pieces")], owner=owner))

    pieces = rows["leak"].outputs["piece"]
    assert "".join(pieces) == "***"
    assert len(pieces) == len(range(0, len(secret), 3))


def test_s25_masked_before_it_is_cut(owner, secret):
    _, rows = ran_version(make_published([leaking("raises at the edge")], owner=owner))

    message = rows["leak"].error_message
    assert message.endswith("x***")
    # Not even a beginning of it.
    assert secret[:3] not in message


class TestOtherWaysIn:
    """What comes from outside is masked as well: a secret belongs into a credential."""

    def test_an_input_of_an_execution(self, owner, secret):
        version = make_published(
            [node("in", "test.input", name="given"), node("echo", "test.echo-io")],
            [LinkSpec("in", "output", "echo", "input")],
            owner=owner,
        )

        execution = executions.start(version_id=version.pk, owner_id=owner.pk, inputs={"given": f"use {secret}"})

        assert Execution.objects.get(pk=execution.pk).inputs == {"given": "use ***"}
        assert_nowhere(secret)

    def test_what_a_service_without_the_key_says(self, owner):
        """The key of one node comes back to another one, which was never handed it."""
        make_credential(owner, secret := "sk-PLANTED-0123456789abcdef")
        version = make_published([node("echo", "test.echo-io", input=f"heard {secret}")], owner=make_user())
        execution = make_execution(version, owner_id=owner.pk)

        rows = run(execution)

        assert rows["echo"].outputs["output"] == ["heard ***"]

    def test_an_answer_of_a_person(self, owner, secret):
        version = make_published([leaking("asks")], owner=owner)
        ran_version(version)
        wait = Wait.objects.get()

        waits.answer(wait, by=owner, reply=waits.Reply(approved=True, comment=f"it is {secret}"))

        assert Wait.objects.get().comment == "it is ***"
        assert_nowhere(secret)

    def test_an_event(self, owner, secret):
        version = make_published(
            [NodeSpec("wait", WaitEventBlock.id, {"input": 1, "name": "e"}, block=facts_of(WaitEventBlock))],
            owner=owner,
        )
        ran_version(version)

        assert waits.send_event(owner_id=owner.pk, name="e", payload={"key": secret}) == 1

        assert_nowhere(secret)

    def test_a_constant_of_a_node_is_refused(self, owner, secret):
        with pytest.raises(GraphInvalid) as refused:
            graphs.create(owner_id=owner.pk, document=document_of([node("a", "test.source", note=f"Bearer {secret}")]))

        (problem,) = refused.value.problems
        assert (problem.code, problem.path) == ("SECRET_IN_GRAPH", "nodes[0]")
        assert secret not in str(refused.value.errors)

    @pytest.mark.parametrize("field", ["name", "base_url"])
    def test_the_name_or_address_of_the_credential_itself_is_refused(self, owner, field):
        secret = "sk-0123456789"

        with pytest.raises(CredentialInvalid):
            make_credential(owner, secret, **{field: f"https://example.com/{secret}"})

    def test_a_sub_graph(self, owner, secret):
        child = make_published(
            [node("in", "test.input", name="given"), node("out", "test.output", name="result")],
            [LinkSpec("in", "output", "out", "input")],
            owner=owner,
        )
        version = make_published([leaking("sub-graph", graph_id=str(child.graph_id))], owner=owner)

        ran_version(version)

        (one,) = Execution.objects.filter(parent_id__isnull=False)
        assert one.inputs == {"given": "***"}
        assert_nowhere(secret)


class TestTheLog:
    def test_of_this_process_is_masked_with_arguments_and_traceback(self, owner, secret):
        masks.mask_for(owner.pk)
        handler = logging.StreamHandler(stream := io.StringIO())
        handler.setFormatter(MaskedFormatter("%(message)s"))
        log = logging.getLogger("canary")
        log.addHandler(handler)
        try:
            try:
                raise ValueError(f"in the traceback: {secret}")
            except ValueError:
                log.exception("in an argument: %s", secret)
        finally:
            log.removeHandler(handler)

        assert "in an argument: ***" in stream.getvalue()
        assert_nowhere(secret, stream.getvalue())


class TestTheSweep:
    """That it finds nothing means something only if it finds what is there."""

    @pytest.mark.parametrize(
        ("table", "column", "write"),
        [
            ("executions_nodeexecution", "outputs", '{"output": ["a %s b"]}'),
            ("executions_nodeexecution", "error_message", "%s"),
            ("executions_nodeexecution", "history", '[{"message": "%s"}]'),
            ("executions_execution", "inputs", '{"given": "%s"}'),
            ("graphs_graph", "description", "see %s"),
            ("graphs_node", "title", "%s"),
            ("integrations_credential", "name", "%s"),
            ("integrations_credential", "allowed_hosts", "{%s}"),
        ],
    )
    def test_finds_it_and_says_where(self, owner, table, column, write):
        secret = "sk-PLANTED-0123456789abcdef"
        make_credential(owner, secret)
        graphs.create(owner_id=owner.pk, document=document_of([node("a", "test.source")]))
        version = make_published([node("a", "test.source")], owner=owner)
        ran_version(version)
        assert check(only=["I11"]) == []

        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(f"UPDATE {table} SET {column} = %s", [write % secret])
            cursor.execute("SET session_replication_role = DEFAULT")

        (violation,) = check(only=["I11"])
        assert all(id_.startswith(f"{table}:") and id_.endswith(f":{column}") for id_ in violation.ids)
        assert secret not in str(violation)
        with pytest.raises(CommandError, match="I11"):
            call_command("check_invariants", only=("I11",), stdout=(said := io.StringIO()))
        assert secret not in said.getvalue()

    @pytest.mark.parametrize("form", ["reversed", "hex", "base64"])
    def test_finds_other_forms(self, owner, form):
        secret = "sk-PLANTED-0123456789abcdef"
        make_credential(owner, secret)
        hidden = {
            "reversed": secret[::-1],
            "hex": secret.encode().hex(),
            "base64": b64encode(f"x{secret}".encode()).decode(),
        }
        make_user(hidden[form][:150])

        assert [violation.code for violation in check(only=["I11"])] == ["I11"]


@pytest.mark.slow
class TestAWholePlatform:
    """A real worker, a real broker: all that goes through them, and all that they write."""

    def test_gives_nothing_away(self, owner, secret, settings):
        settings.AGENTPLATFORM_EXTRA_BLOCKS = ["tests.leaky:LEAKY"]
        nodes = [leaking(how, key=f"n{number}") for number, how in enumerate(WAYS) if how not in ("asks", "waits")]
        version = make_published(nodes, owner=owner)
        environment = {"AGENTPLATFORM_EXTRA_BLOCKS": "tests.blocks:TEST_BLOCKS,tests.leaky:LEAKY"}

        with (
            Monitor(settings.REDIS_URL) as broker,
            running_worker(extra_env=environment) as worker,
            running_web(extra_env=environment) as web,
        ):
            execution = executions.start(version_id=version.pk, owner_id=owner.pk)
            with stream(web, path_of(execution.pk), token_of(owner)) as opened:
                events = list(opened.events())
            wait_until(
                lambda: Execution.objects.get(pk=execution.pk).status in (Status.SUCCEEDED, Status.FAILED),
                within_s=120,
                what="The end",
            )
            logs = [worker.output(), web.output()]

        assert NodeExecution.objects.filter(execution=execution).count() == len(nodes)
        assert "printed ***" in logs[0]
        assert "logged ***" in logs[0]
        assert str(execution.pk) in broker.text
        assert len(events) > len(nodes)
        assert_nowhere(secret, *logs, broker.text, repr(events), *self.doors(execution))

    def doors(self, execution: Execution) -> Iterator[str]:
        """Yield what every door says of an execution afterwards: the API with its exports, and the console."""
        api, console = client_of(execution.owner), Client()
        console.force_login(get_user_model().objects.create_superuser("looker"))
        for place in ("", "nodes/"):
            yield said_by(api.get(f"/api/v1/executions/{execution.pk}/{place}"))
        yield said_by(api.get(f"/api/v1/graphs/{execution.graph_id}/export/"))
        yield said_by(api.get("/api/v1/ledger/export/"))
        yield said_by(api.get("/api/v1/credentials/"))
        yield said_by(console.get(reverse("admin:executions_execution_change", args=[execution.pk])))
        yield said_by(console.get(reverse("admin:executions_execution_retry", args=[execution.pk])))
        for firing in NodeExecution.objects.filter(execution=execution):
            yield said_by(console.get(reverse("admin:executions_nodeexecution_change", args=[firing.pk])))


def said_by(answer: Any) -> str:
    """Return what an answer says, whole."""
    assert answer.status_code == 200, answer
    return (b"".join(answer) if answer.streaming else answer.content).decode()


class Monitor:
    """All that goes through a Valkey, as text."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=None)
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._is_open = threading.Event()
        self._ended = threading.Event()

    def __enter__(self) -> Monitor:
        self._thread.start()
        assert self._is_open.wait(10)
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._client.set("end-of-monitor", "1", ex=10)
        self._thread.join(10)
        self._client.close()

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    def _listen(self) -> None:
        with self._client.monitor() as monitor:
            self._is_open.set()
            for command in monitor.listen():
                said = str(command["command"])
                bodies = re.findall(r'"body": ?"([A-Za-z0-9+/=]+)"', said)
                self._lines += [said, *(b64decode(body).decode(errors="replace") for body in bodies)]
                if self._ended.is_set():
                    return


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client
