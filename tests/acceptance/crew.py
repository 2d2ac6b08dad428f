"""What the tests of recovery share: workers to be killed, graphs with effects, and the look at what became of them."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from agentplatform.local.paths import ROOT
from agentplatform.local.supervisor import Service, kill_group, spawn
from blocks.sdk import Block
from executions import reconcile, services
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import FINAL, NodeStatus, Status
from executions.models import Execution, NodeExecution
from graphs.models import GraphVersion
from tests.acceptance.probes import EFFECTS_FILE, Act, Compute
from tests.blocks import facts_of, node
from tests.factories import make_published
from tests.servers import Worker, environment_of_processes, start_worker, wait_until

SHORT_LEASES = {"AGENTPLATFORM_LEASE_S": 1.5, "AGENTPLATFORM_HEARTBEAT_S": 0.4, "AGENTPLATFORM_RECONCILE_S": 0.5}
BLOCKS = {"AGENTPLATFORM_EXTRA_BLOCKS": "tests.blocks:TEST_BLOCKS,tests.acceptance.probes:PROBES"}
#: Node executions, and effects, of one execution of `two_ways`.
ROWS, EFFECTS = 10, 5


@dataclass
class Crew:
    """The workers of both queues, and the file their blocks write to."""

    default: Worker
    cpu: Worker
    effects_file: Path
    environment: dict[str, str]
    replaced: list[Worker] = field(default_factory=list)

    def replace_default(self) -> None:
        """Start another worker where one was killed, or beside one that is to stop."""
        self.replaced.append(self.default)
        self.default = start_worker("default", "threads", extra_env=self.environment)

    def replace_cpu(self) -> None:
        """Do the same for what computes."""
        self.replaced.append(self.cpu)
        self.cpu = start_worker("cpu", "prefork", extra_env=self.environment)

    def effects(self) -> Counter[str]:
        """Return how often each firing had its effect."""
        text = self.effects_file.read_text() if self.effects_file.exists() else ""
        # The last line may be on its way.
        lines = text.rpartition("\n")[0].splitlines()
        return Counter(json.loads(line)["key"] for line in lines)

    def effects_of(self, ids: list[UUID]) -> Counter[str]:
        """Return the same for some executions."""
        mine = {str(execution_id) for execution_id in ids}
        return Counter({key: times for key, times in self.effects().items() if key.partition(":")[0] in mine})


@contextmanager
def working(folder: Path, environment: Mapping[str, str]) -> Iterator[Crew]:
    """Run the workers of both queues for a `with` block."""
    file = folder / "effects.jsonl"
    environment = {**BLOCKS, **environment, EFFECTS_FILE: str(file)}
    cpu = start_worker("cpu", "prefork", extra_env=environment)
    try:
        crew = Crew(start_worker("default", "threads", extra_env=environment), cpu, file, environment)
    except BaseException:
        cpu.kill9()
        raise
    try:
        yield crew
    finally:
        # One that was replaced and lives on would take the messages of the tests that follow.
        for worker in (crew.default, crew.cpu, *crew.replaced):
            worker.kill9()


def two_ways(**instead: type[Block]) -> GraphVersion:
    """Return a graph that waits and computes at once, joins, spreads over items, and gathers them."""
    act = instead.get("Act", Act)
    nodes = [
        node("number", "test.input", name="number"),
        probe("act", act, seconds=0.05),
        probe("compute", Compute, seconds=0.02),
        node("pair", "test.pair"),
        node("items", "test.stream", count=3),
        probe("each", Compute, seconds=0.01),
        node("all", "test.collect"),
        node("result", "test.output", name="result"),
    ]
    links = [
        LinkSpec("number", "output", "act", "input"),
        LinkSpec("number", "output", "compute", "input"),
        LinkSpec("act", "output", "pair", "a"),
        LinkSpec("compute", "output", "pair", "b"),
        LinkSpec("pair", "output", "items", "input"),
        LinkSpec("items", "item", "each", "input"),
        LinkSpec("each", "output", "all", "item"),
        LinkSpec("all", "items", "result", "input"),
    ]
    return make_published(nodes, links)


def one_way(block: type[Block], **constants: Any) -> GraphVersion:
    """Return a graph of one probe between an input and an output."""
    nodes = [
        node("number", "test.input", name="number"),
        probe("act", block, **constants),
        node("result", "test.output", name="result"),
    ]
    links = [LinkSpec("number", "output", "act", "input"), LinkSpec("act", "output", "result", "input")]
    return make_published(nodes, links)


def probe(key: str, block: type[Block], **constants: Any) -> NodeSpec:
    """Return a node of a probe."""
    return NodeSpec(key, block.id, constants, block=facts_of(block))


def start_many(version: GraphVersion, count: int) -> list[UUID]:
    """Start so many executions, each with a number of its own."""
    owner_id = version.graph.owner_id
    return [
        services.start(version_id=version.pk, owner_id=owner_id, inputs={"number": number}).pk
        for number in range(count)
    ]


def wait_for_end(ids: list[UUID], *, within_s: float = 120.0, or_rest: bool = False) -> None:
    """Wait until all have ended, or wait for somebody if they may, and reconcile meanwhile as beat would."""
    due = time.monotonic()
    over = {*FINAL, Status.WAITING} if or_rest else FINAL

    def is_over() -> bool:
        nonlocal due
        if time.monotonic() >= due:
            reconcile.reconcile()
            due = time.monotonic() + SHORT_LEASES["AGENTPLATFORM_RECONCILE_S"]
        return not Execution.objects.filter(pk__in=ids).exclude(status__in=over).exists()

    wait_until(is_over, within_s=within_s, what="The end of all executions")


def assert_all_ended_well(crew: Crew, ids: list[UUID]) -> None:
    """Wait for the end, then look at every execution, every firing, and every effect outside."""
    wait_for_end(ids)
    endings = list(Execution.objects.filter(pk__in=ids).order_by("id").values_list("status", "error_code", "outputs"))
    rows = list(NodeExecution.objects.filter(execution_id__in=ids))
    effects = crew.effects_of(ids)

    expected = [[f"[{number}, {number}].{item}" for item in range(3)] for number in range(len(ids))]
    assert endings == [(Status.SUCCEEDED, "", {"result": result}) for result in expected]
    assert {(row.status, row.lease_expires_at) for row in rows} == {(NodeStatus.SUCCEEDED, None)}
    assert len(rows) == ROWS * len(ids)
    attempts = {idempotency_key(row): row.attempt for row in rows}
    assert len(attempts) == len(rows)
    assert len(effects) == EFFECTS * len(ids)
    assert [key for key, times in effects.items() if times > attempts[key]] == []


def idempotency_key(row: NodeExecution) -> str:
    """Return what a block was told to hand on to whoever can deduplicate."""
    return f"{row.execution_id}:{row.node_key}:{','.join(map(str, row.item_path))}"


@contextmanager
def running_beat(environment: Mapping[str, str]) -> Iterator[None]:
    """Run the real beat for a `with` block."""
    folder = Path(environment[EFFECTS_FILE]).parent
    argv = [sys.executable, "-m", "celery", "-A", "agentplatform", "beat"]
    argv += [f"--schedule={folder / 'schedule'}", "--pidfile=", "--loglevel=INFO"]
    service = Service(name="beat", argv=argv, env=environment_of_processes() | dict(environment), cwd=ROOT)
    with (folder / "beat.log").open("ab") as log:
        process = spawn(service, log.fileno())
    try:
        yield
    finally:
        kill_group(process.pid)
        process.wait()
