"""The command `agentplatform` against a real web and a real worker: what it does, prints, and says by its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import AbstractUser

from agentplatform.local.paths import ROOT
from blocks import registry
from executions.models import Execution
from graphs import services
from graphs.documents import GraphModel
from graphs.models import Graph
from integrations.services import add
from tests.acceptance.crew import BLOCKS, one_way
from tests.acceptance.probes import EFFECTS_FILE, PROBES, Act
from tests.factories import make_user
from tests.live import token_of
from tests.servers import Web, running_web, running_worker, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SHORTEN = {
    "format": 1,
    "name": "Cut",
    "nodes": [
        {"id": "text", "block_id": "input-block", "inputs": {"name": "text"}},
        {"id": "split", "block_id": "split-text-block", "inputs": {"separator": ","}},
        {"id": "all", "block_id": "collect-block"},
        {"id": "out", "block_id": "output-block", "inputs": {"name": "parts"}},
    ],
    "links": [
        {"source_id": "text", "source_name": "output", "sink_id": "split", "sink_name": "text"},
        {"source_id": "split", "source_name": "part", "sink_id": "all", "sink_name": "item"},
        {"source_id": "all", "source_name": "items", "sink_id": "out", "sink_name": "input"},
    ],
}


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    environment = BLOCKS | {EFFECTS_FILE: str(tmp_path_factory.mktemp("effects") / "effects.jsonl")}
    with running_worker(extra_env=environment), running_web(extra_env=environment) as web:
        yield web


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*PROBES)


class Shell:
    """Where somebody has set the two variables."""

    def __init__(self, url: str, user: AbstractUser, folder: Path) -> None:
        self.user = user
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AGENTPLATFORM", "DJANGO"))},
            "PYTHONPATH": str(ROOT / "clients/python/src"),
            "AGENTPLATFORM_URL": url,
            "AGENTPLATFORM_API_KEY": token_of(user),
        }

    def begin(self, *words: object, **environment: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "agentplatform_client.cli", *map(str, words)]
        return subprocess.Popen(
            argv,
            env=self.environment | environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: object, **environment: str) -> tuple[int, str, str]:
        """Return the exit code, and what it wrote to stdout and stderr."""
        process = self.begin(*words, **environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def json(self, *words: object) -> Any:
        code, out, err = self(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def write(self, name: str, document: Mapping[str, Any]) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(document), sort_keys=False))
        return path


@pytest.fixture
def shell(web: Web, tmp_path: Path) -> Shell:
    return Shell(web.url, make_user(), tmp_path)


def graph_of(shell: Shell, **constants: Any) -> Graph:
    """Return a published graph of whoever is at the shell, of one block that takes its time."""
    version = one_way(Act, **constants)
    Graph.objects.filter(pk=version.graph_id).update(owner=shell.user)
    return Graph.objects.get(pk=version.graph_id)


class TestRun:
    def test_starts_a_document_and_shows_what_came_out(self, shell: Shell) -> None:
        path = shell.write("cut.yaml", SHORTEN)

        code, out, err = shell("run", path, "--input", "text=a,b")

        assert code == 0, err
        assert 'parts: ["a", "b"]' in out
        assert "split" in err
        assert "succeeded" in err

    def test_finds_a_graph_by_its_name_and_its_id(self, shell: Shell) -> None:
        graph = graph_of(shell)

        by_name = shell.json("run", graph.name, "--input-json", "number=7")
        by_id = shell.json("run", graph.pk, "--input-json", "number=8", "--version", "1")

        assert [by_name["outputs"], by_id["outputs"]] == [{"result": 7}, {"result": 8}]

    def test_says_by_its_exit_code_that_it_failed(self, shell: Shell) -> None:
        graph = graph_of(shell, fails=True)

        code, out, _ = shell("run", graph.name, "--input-json", "number=7")

        assert code == 1
        assert "PROBE_FAILED: As it was told." in out

    def test_takes_inputs_from_a_file(self, shell: Shell) -> None:
        graph = graph_of(shell)
        (shell.folder / "inputs.yaml").write_text("number: [1, 2]\n")

        assert shell.json("run", graph.name, "--inputs-file", "inputs.yaml")["outputs"] == {"result": [1, 2]}

    def test_changes_nothing_where_the_document_has_problems(self, shell: Shell) -> None:
        path = shell.write("bad.yaml", {**SHORTEN, "links": [{**SHORTEN["links"][0], "source_name": "nothing"}]})

        code, _, err = shell("run", path)

        assert code == 2
        assert "UNKNOWN_PIN" in err
        assert "It has: output, error." in err
        assert not Graph.objects.filter(owner=shell.user).exists()

    def test_says_once_what_is_wrong(self, shell: Shell) -> None:
        path = shell.write("cut.yaml", SHORTEN)

        code, _, err = shell("run", path)

        assert code == 2
        assert err.count("The input 'text' is missing.") == 1
        assert "inputs.text" in err

    def test_leaves_off_in_time(self, shell: Shell) -> None:
        graph = graph_of(shell, seconds=60.0)

        code, _, err = shell("run", graph.name, "--input-json", "number=7", "--timeout", "1")

        assert code == 6
        assert "It goes on." in err

    def test_goes_on_when_it_is_interrupted(self, shell: Shell) -> None:
        graph = graph_of(shell, seconds=60.0)
        process = shell.begin("run", graph.name, "--input-json", "number=7")
        wait_until(lambda: Execution.objects.filter(graph=graph, status="RUNNING").exists())

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

        assert process.returncode == 130
        assert "goes on" in err
        assert Execution.objects.get(graph=graph).status == "RUNNING"


class TestExecutions:
    @pytest.mark.slow
    def test_can_be_listed_looked_at_followed_and_cancelled(self, shell: Shell) -> None:
        graph = graph_of(shell, seconds=60.0)
        execution_id = shell("run", graph.name, "--input-json", "number=7", "--detach")[1].strip()
        wait_until(lambda: Execution.objects.get(pk=execution_id).status == "RUNNING")

        listed = shell.json("list", "--graph", graph.name, "--status", "RUNNING")
        following = shell.begin("follow", execution_id, "--json")
        cancelled = shell.json("cancel", execution_id)
        out, _ = following.communicate(timeout=30)
        code, shown, _ = shell("get", execution_id, "--nodes")

        assert [one["id"] for one in listed] == [execution_id]
        assert cancelled[0]["status"] in ("CANCELLING", "CANCELLED")
        assert following.returncode == 1
        events = [json.loads(line) for line in out.splitlines()]
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        assert events[-1]["type"] == "execution.cancelled"
        assert code == 0
        assert "CANCELLED" in shown

    def test_have_logs(self, shell: Shell) -> None:
        graph = graph_of(shell)
        execution_id = shell.json("run", graph.name, "--input-json", "number=7")["id"]

        code, out, _ = shell("logs", execution_id)

        assert code == 0
        assert [line.split()[1:3] for line in out.splitlines()][-1] == ["execution", "succeeded"]

    def test_can_be_retried_with_a_preview_first(self, shell: Shell) -> None:
        graph = graph_of(shell, fails=True)
        execution_id = json.loads(shell("run", graph.name, "--input-json", "number=7", "--json")[1])["id"]

        preview = shell.json("retry", execution_id, "--preview")
        dry = shell.json("retry", execution_id, "--dry-run")
        refused = shell("retry", "--status", "FAILED", "--preview")
        code, out, _ = shell("retry", execution_id, "--json")

        assert [one["node"] for one in preview["runs"]][:1] == ["act"]
        assert (dry, refused[0]) == (preview, 2)
        assert code == 1
        assert json.loads(out)["retried_from"] == execution_id

    def test_are_cancelled_paused_and_counted_by_what_the_list_finds(self, shell: Shell) -> None:
        graph, other = graph_of(shell, seconds=60.0), graph_of(shell, seconds=60.0)
        for one in (graph, graph, other):
            shell("run", one.pk, "--input-json", "number=7", "--detach")
        which = ("--graph", graph.pk, "--status", "QUEUED", "--status", "RUNNING")

        counted = shell("cancel", *which, "--dry-run")
        paused = shell.json("pause", *which, "--limit", "1")
        resumed = shell.json("resume", "--graph", graph.pk)
        cancelled = shell.json("cancel", *which)
        nothing, both = shell("cancel"), shell("cancel", graph.pk, "--status", "FAILED")

        assert counted[:2] == (0, "2 match.\n")
        assert [(one["matching"], one["done"]) for one in (paused, resumed, cancelled)] == [(2, 1), (1, 1), (2, 2)]
        assert set(Execution.objects.filter(graph=graph).values_list("status", flat=True)) <= {
            "CANCELLING",
            "CANCELLED",
        }
        assert Execution.objects.get(graph=other).status in ("QUEUED", "RUNNING")
        assert (nothing[0], both[0]) == (2, 2)

    def test_that_failed_are_retried_together(self, shell: Shell) -> None:
        graph = graph_of(shell, fails=True)
        failed = [json.loads(shell("run", graph.pk, "--input-json", "number=7", "--json")[1])["id"] for _ in range(2)]

        retried = shell.json("retry", "--graph", graph.pk, "--status", "FAILED")

        assert [one["execution"] for one in retried["results"]] == failed
        assert Execution.objects.filter(retried_from_id__in=failed).count() == 2


class TestDocuments:
    def test_are_applied_once_and_then_only_where_they_changed(self, shell: Shell) -> None:
        shell.write("flows/cut.yaml", SHORTEN)
        shell.write("flows/more/join.json", {**SHORTEN, "name": "Join"})

        first = shell.json("apply", "flows")
        second = shell.json("apply", "flows")
        shell.write("flows/cut.yaml", {**SHORTEN, "description": "Cuts."})
        dry = shell.json("apply", "flows", "--dry-run")
        third = shell.json("apply", "flows")

        assert actions(first) == {"Cut": ("create", 1), "Join": ("create", 1)}
        assert actions(second) == {"Cut": ("keep", 1), "Join": ("keep", 1)}
        assert actions(dry) == {"Cut": ("update", None), "Join": ("keep", None)}
        assert actions(third)["Join"] == ("keep", 1)
        assert Graph.objects.get(owner=shell.user, name="Cut").description == "Cuts."

    def test_differ_or_do_not(self, shell: Shell) -> None:
        shell.write("cut.yaml", SHORTEN)
        shell("apply", ".")
        same = shell("diff", ".")
        changed = {
            **SHORTEN,
            "nodes": [
                *SHORTEN["nodes"][:1],
                {**SHORTEN["nodes"][1], "inputs": {"separator": ";"}},
                *SHORTEN["nodes"][2:],
            ],
        }  # type: ignore[index]
        shell.write("cut.yaml", changed)

        code, out, _ = shell("diff", ".")

        assert (same[0], same[1]) == (0, "")
        assert code == 1
        assert "-    separator: ','" in out
        assert "+    separator: ;" in out

    def test_that_are_gone_are_put_away_where_that_is_asked_for(self, shell: Shell) -> None:
        shell.write("flows/cut.yaml", SHORTEN)
        gone = shell.write("flows/join.yaml", {**SHORTEN, "name": "Join"})
        shell("apply", "flows")
        gone.unlink()

        left = shell.json("apply", "flows")
        shown = shell("diff", "flows", "--prune")
        dry = shell.json("apply", "flows", "--prune", "--dry-run")
        is_there = not Graph.objects.get(owner=shell.user, name="Join").is_archived
        pruned = shell.json("apply", "flows", "--prune")
        again = shell.json("apply", "flows", "--prune")

        assert actions(left) == {"Cut": ("keep", 1)}
        assert shown[0] == 1
        assert "-name: Join" in shown[1]
        assert actions(dry)["Join"] == ("archive", None)
        assert is_there
        assert actions(pruned) == {"Cut": ("keep", 1), "Join": ("archive", None)}
        assert actions(again) == {"Cut": ("keep", 1)}
        assert Graph.objects.get(owner=shell.user, name="Join").is_archived
        assert Graph.objects.get(owner=shell.user, name="Join").versions.count() == 1

    def test_of_which_there_are_none_put_nothing_away(self, shell: Shell) -> None:
        shell.write("cut.yaml", SHORTEN)
        shell("apply", "cut.yaml")
        (shell.folder / "empty").mkdir()

        code, _, err = shell("apply", "empty", "--prune")

        assert code == 2
        assert "no document" in err
        assert not Graph.objects.get(owner=shell.user).is_archived

    def test_that_are_unsound_change_nothing(self, shell: Shell) -> None:
        shell.write("a.yaml", SHORTEN)
        shell.write(
            "b.yaml", {**SHORTEN, "name": "Bad", "nodes": [{"id": "x", "block_id": "no-such-block"}], "links": []}
        )

        code, _, err = shell("apply", ".")

        assert code == 2
        assert "b.yaml" in err
        assert "no-such-block" in err
        assert not Graph.objects.filter(owner=shell.user).exists()

    @pytest.mark.parametrize(
        ("document", "told"),
        [
            ({**SHORTEN, "nodes": [{"block_id": "input-block"}]}, "give node 1 an id"),
            ({"nodes": []}, "is no graph document"),
        ],
    )
    def test_that_are_none_are_told(self, shell: Shell, document: dict[str, Any], told: str) -> None:
        shell.write("a.yaml", document)

        code, _, err = shell("apply", ".")

        assert code == 2
        assert told in err

    def test_come_out_as_they_went_in(self, shell: Shell) -> None:
        shell.write("cut.yaml", SHORTEN)
        shell("import", "cut.yaml", "--publish")

        shell("export", "Cut", "-o", "out.yaml")
        code, out, _ = shell("diff", "out.yaml")

        assert (code, out) == (0, "")

    def test_keep_the_credentials_that_nodes_name(self, shell: Shell) -> None:
        document = {"name": "Ask", "nodes": [{"id": "ask", "block_id": "llm-chat-block", "inputs": {"prompt": "Hi."}}]}
        shell.write("ask.yaml", document)
        shell("apply", ".")
        graph = Graph.objects.get(owner=shell.user)
        credential = add(
            owner_id=shell.user.pk, provider="openai", kind="api_key", name="Mine", secret={"api_key": "sk-01234"}
        )
        shell.write("ask.yaml", {**document, "description": "Asks."})
        node = {**document["nodes"][0], "credentials": {"openai": str(credential.pk)}}  # type: ignore[dict-item]
        services.save_draft(graph, GraphModel.read({**document, "nodes": [node]}))
        shell("apply", ".")

        (kept,) = graph.versions.published().first().nodes.all()  # type: ignore[union-attr]
        assert kept.credentials == {"openai": str(credential.pk)}


class TestExitCodes:
    @pytest.mark.slow
    def test_say_what_was_wrong(self, shell: Shell, web: Web) -> None:
        stranger = Execution.objects.create(**of_somebody_else())

        assert shell("get", stranger.pk)[0] == 3
        assert shell("run", "no such graph")[0] == 3
        assert shell("get", "x")[0] == 2
        assert shell("run", graph_of(shell).name, "--input", "nonsense")[0] == 2
        assert shell("run", graph_of(shell).name, "--input", "other=1")[0] == 2
        assert shell("list", AGENTPLATFORM_API_KEY="wrong")[0] == 4
        assert shell("list", AGENTPLATFORM_URL="http://127.0.0.1:1")[0] == 5
        assert shell("list", AGENTPLATFORM_URL="")[0] == 2
        assert shell("list", AGENTPLATFORM_API_KEY="")[0] == 2
        assert shell("nonsense")[0] == 2

    def test_hold_where_somebody_reads_no_further(self, shell: Shell) -> None:
        process = shell.begin("list", "graphs")
        assert process.stdout
        process.stdout.close()

        assert process.wait(30) == 0


def actions(applied: Mapping[str, Any]) -> dict[str, tuple[str, int | None]]:
    return {one["graph"]: (one["action"], one["version"]) for one in applied["changes"]}


def of_somebody_else() -> dict[str, Any]:
    version = one_way(Act)
    return {"graph_id": version.graph_id, "version": version, "owner_id": version.graph.owner_id}
