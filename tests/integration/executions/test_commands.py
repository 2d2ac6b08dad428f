"""The commands: what they start, what they tell, and with which code they end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from agentplatform.lib.clock import now
from agentplatform.local.paths import ROOT
from blocks import registry
from executions import services as executions
from executions.engine.spec import LinkSpec
from executions.engine.status import Status
from executions.models import Execution
from graphs import documents, services
from graphs.documents import GraphModel
from graphs.models import Graph, GraphVersion
from tests.blocks import TEST_BLOCKS, node
from tests.factories import document_of, make_execution, make_published, make_user
from tests.servers import environment_of_processes, running_worker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

EXTRA = {"AGENTPLATFORM_EXTRA_BLOCKS": "tests.blocks:TEST_BLOCKS"}
NODES = [node("name", "test.input", name="name", default="nobody"), node("out", "test.output", name="greeting")]
LINKS = [LinkSpec("name", "output", "out", "input")]
FAILING = [node("wrong", "test.wrong-output", input=1)]


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*TEST_BLOCKS)


@pytest.fixture(scope="module")
def worker(django_db_setup, django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock(), running_worker(extra_env=EXTRA):
        yield


@pytest.fixture
def version(worker) -> GraphVersion:
    return make_published(NODES, LINKS)


def waiting(seconds: float) -> GraphVersion:
    """Return a graph that waits."""
    wait = {"id": "wait", "block_id": "delay-block", "inputs": {"input": 1, "seconds": seconds}}
    graph = services.create(owner_id=make_user().pk, document=GraphModel.read({"name": "waits", "nodes": [wait]}))
    return services.publish(graph)


def execute(*arguments: str) -> tuple[int, str, str]:
    """Run the command here. Return its exit code, and what it printed to both streams."""
    out, err = StringIO(), StringIO()
    try:
        call_command("execute", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def write_document(folder: Path, nodes=NODES, links=LINKS) -> Path:
    path = folder / "graph.yaml"
    path.write_text(documents.write(document_of(nodes, links), "yaml"))
    return path


@pytest.mark.slow
class TestExecute:
    def test_prints_the_outputs_and_what_it_took(self, version):
        code, out, _ = execute(str(version.graph_id), "--input", "name=Ada=Lovelace")

        assert code == 0
        assert "name: done" in out
        assert "\ngreeting\nAda=Lovelace\n" in out
        assert "SUCCEEDED in " in out
        assert "0 + 0 tokens · $0.00" in out

    def test_takes_inputs_as_json_and_from_a_file(self, version, tmp_path):
        (tmp_path / "inputs.yaml").write_text("name: {first: Ada}\n")

        _, from_file, _ = execute(version.graph.name, "--inputs-file", str(tmp_path / "inputs.yaml"), "--json")
        _, from_line, _ = execute(version.graph.name, "--input-json", 'name={"first": "Ada"}', "--json")

        assert json.loads(from_file)["outputs"] == json.loads(from_line)["outputs"] == {"greeting": {"first": "Ada"}}

    def test_tells_the_place_in_line_as_long_as_there_is_no_room(self, version, settings):
        settings.AGENTPLATFORM_MAX_RUNNING_PER_OWNER = 1
        make_execution(version, launched_at=now(), status=Status.RUNNING)
        behind = make_execution(version)

        code, out, _ = execute(version.graph.name, "--priority", "5", "--timeout", "0.5")

        assert (code, "number 1 in line" in out) == (3, True)
        assert Execution.objects.exclude(pk=behind.pk).get(status=Status.QUEUED).priority == 5

    def test_takes_no_priority_out_of_bounds(self, version):
        code, _, err = execute(version.graph.name, "--priority", "101")

        assert (code, "goes from -100 to 100" in err) == (2, True)

    def test_as_json_prints_nothing_else(self, version):
        code, out, err = execute(version.graph.name, "--json")

        shown = json.loads(out)
        assert code == 0
        assert (shown["status"], shown["outputs"], shown["cost"]["microcredits"]) == (
            "SUCCEEDED",
            {"greeting": "nobody"},
            0,
        )
        assert "name: done" in err

    @pytest.mark.usefixtures("worker")
    def test_ends_with_1_if_the_execution_failed(self):
        version = make_published(FAILING)

        code, out, _ = execute(version.graph.name)

        assert code == 1
        assert "OUTPUT_INVALID at wrong: " in out
        assert "FAILED in " in out

    @pytest.mark.usefixtures("worker")
    def test_ends_with_3_if_it_takes_too_long_and_lets_it_go_on(self):
        version = waiting(1.0)

        code, _, err = execute(version.graph.name, "--timeout", "0.1")

        assert code == 3
        assert "It goes on" in err
        wait_until(lambda: Execution.objects.get().status == Status.SUCCEEDED)

    @pytest.mark.usefixtures("worker")
    def test_says_what_it_waits_for(self):
        version = waiting(86_400.0)

        _, out, _ = execute(version.graph.name, "--timeout", "4")

        assert "wait: waiting" in out
        assert "wait waits for a moment, until 20" in out
        assert Execution.objects.get().status == Status.WAITING

    @pytest.mark.usefixtures("worker")
    def test_says_at_ctrl_c_that_it_goes_on(self):
        version = waiting(2.0)
        command = [sys.executable, str(ROOT / "manage.py"), "execute", version.graph.name]
        with subprocess.Popen(
            command, env=environment_of_processes() | EXTRA, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            wait_until(lambda: Execution.objects.filter(status=Status.RUNNING).exists())
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)

        assert process.returncode == 130
        assert f"Execution {Execution.objects.get().pk} goes on." in err
        wait_until(lambda: Execution.objects.get().status == Status.SUCCEEDED)

    def test_draws_in_a_terminal(self, version):
        main, side = pty.openpty()
        command = [sys.executable, str(ROOT / "manage.py"), "execute", version.graph.name]
        process = subprocess.Popen(
            command, env=environment_of_processes() | EXTRA | {"TERM": "xterm"}, stdout=side, stderr=side
        )
        os.close(side)
        drawn = b"".join(iter(lambda: _read(main), b"")).decode()

        assert process.wait(20) == 0
        assert "\x1b[" in drawn
        assert "✓" in drawn
        assert "SUCCEEDED" in drawn

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["no such graph"], "There is no graph 'no such graph'."),
            (["GRAPH", "--version", "9"], "has no version 9"),
            (["GRAPH", "--owner", "nobody"], "There is no user 'nobody'."),
            (["GRAPH", "--input", "name"], "Write --input NAME=TEXT, not 'name'."),
            (["GRAPH", "--input", "tea=green"], "The graph has no input 'tea'. It has: name."),
            (["GRAPH", "--input-json", "name={"], "is not JSON"),
            (["GRAPH", "--inputs-file", "/nowhere.yaml"], "can not be read"),
            (["missing.yaml"], "can not be read"),
        ],
    )
    def test_ends_with_2_if_it_is_asked_wrongly(self, arguments, told):
        name = make_published(NODES, LINKS).graph.name
        get_user_model().objects.create_superuser("root")

        code, _, err = execute(*(name if argument == "GRAPH" else argument for argument in arguments))

        assert code == 2
        assert told in err
        assert not Execution.objects.exists()

    def test_never_executes_another_owners_graph_of_that_name(self):
        theirs = make_published(NODES, LINKS)

        code, _, err = execute(theirs.graph.name, "--owner", make_user("me").get_username())

        assert (code, "There is no graph" in err) == (2, True)


class TestExecuteDocument:
    @pytest.mark.usefixtures("worker")
    def test_publishes_it_for_the_owner(self, tmp_path):
        make_user("ada")

        code, _, _ = execute(str(write_document(tmp_path)), "--owner", "ada")

        assert code == 0
        assert Execution.objects.get().owner.get_username() == Graph.objects.get().owner.get_username() == "ada"

    @pytest.mark.usefixtures("worker")
    def test_takes_an_administrator_if_no_owner_is_named(self, tmp_path):
        get_user_model().objects.create_superuser("root")

        code, _, _ = execute(str(write_document(tmp_path)))

        assert (code, Graph.objects.get().owner.get_username()) == (0, "root")

    @pytest.mark.usefixtures("worker")
    def test_makes_a_new_version_only_of_what_is_new(self, tmp_path):
        make_user("ada")
        path = write_document(tmp_path)

        execute(str(path), "--owner", "ada")
        execute(str(path), "--owner", "ada")
        path.write_text(path.read_text().replace("nobody", "somebody"))
        execute(str(path), "--owner", "ada")

        assert list(GraphVersion.objects.order_by("id").values_list("number", flat=True)) == [1, 2]
        assert [execution.version.number for execution in Execution.objects.order_by("id")] == [1, 1, 2]

    def test_replaces_no_draft(self, tmp_path):
        path = write_document(tmp_path)
        owner = make_user("ada")
        document = documents.parse(path.read_text(), "yaml")
        document.user_id = owner.pk
        documents.store(document)

        code, _, err = execute(str(path), "--owner", "ada")

        assert code == 2
        assert "has a draft" in err

    def test_stores_nothing_of_an_invalid_one(self, tmp_path):
        make_user("ada")
        path = write_document(tmp_path, [node("a", "test.echo")], [])

        code, _, err = execute(str(path), "--owner", "ada")

        assert (code, "1 problem" in err) == (2, True)
        assert not Graph.objects.exists()


class TestExplain:
    def explain(self, *arguments: str) -> str:
        call_command("explain", *arguments, stdout=(out := StringIO()))
        return out.getvalue()

    def test_shows_nodes_segments_and_waves(self):
        nodes = [
            node("a", "test.source"),
            node("b", "test.echo-io"),
            node("c", "test.echo-cpu"),
            node("d", "test.pair"),
        ]
        links = [
            LinkSpec("a", "output", "b", "input"),
            LinkSpec("a", "output", "c", "input"),
            LinkSpec("b", "output", "d", "a"),
            LinkSpec("c", "output", "d", "b"),
        ]
        version = make_published(nodes, links)

        told = self.explain(version.graph.name)

        assert "4 nodes" in told
        assert "b  io, segment" in told
        assert "queue cpu" in told
        assert "wave 1" in told
        assert "chord" in told
        assert "\x1b[" not in told

    def test_shows_a_document_without_storing_it(self, tmp_path):
        told = self.explain(str(write_document(tmp_path)))

        assert "segment 0: name out" in told
        assert not Graph.objects.exists()

    def test_shows_the_version_that_is_asked_for(self):
        version = make_published(NODES, LINKS)

        assert f"{version.graph.name} v1" in self.explain(version.graph.name, "--version", "1")
        with pytest.raises(CommandError, match="has no version 2"):
            self.explain(version.graph.name, "--version", "2")


class TestFollowAndCancel:
    def test_follow_shows_one_that_somebody_else_has_started(self, version):
        execution = executions.start(version_id=version.pk, owner_id=version.graph.owner_id, inputs={"name": "Ada"})

        call_command("follow_execution", str(execution.pk), stdout=(out := StringIO()))

        assert "greeting" in out.getvalue()
        assert "Ada" in out.getvalue()

    def test_follow_ends_with_1_if_it_did_not_succeed(self):
        execution = make_execution(status=Status.FAILED, error_code="BOOM")

        with pytest.raises(SystemExit) as ended:
            call_command("follow_execution", str(execution.pk), stdout=StringIO())

        assert ended.value.code == 1

    def test_cancel_stops_what_is_named(self):
        queued, ended = make_execution(), make_execution(status=Status.SUCCEEDED)

        call_command("cancel_execution", str(queued.pk), str(ended.pk), stdout=(out := StringIO()))

        assert out.getvalue() == f"{queued.pk} CANCELLED\n{ended.pk} SUCCEEDED\n"

    @pytest.mark.parametrize("command", ["follow_execution", "cancel_execution"])
    def test_what_is_not_there_is_told(self, command):
        with pytest.raises(CommandError, match="There is no execution"):
            call_command(command, str(UUID(int=7)))


class TestCreatePartitions:
    def test_creates_what_is_missing_and_says_so(self):
        call_command("create_partitions", stdout=StringIO())
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TABLE "{self.second()}"')

        told = [self.create(), self.create()]

        assert told == [f"{self.second()}\n", ""]

    def create(self) -> str:
        call_command("create_partitions", stdout=(out := StringIO()))
        return out.getvalue()

    def second(self) -> str:
        """Return the name of next month's partition."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM')")
            return f"executions_nodeexecution_{cursor.fetchone()[0]}"


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side is closed
        return b""
