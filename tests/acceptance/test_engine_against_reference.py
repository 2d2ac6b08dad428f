"""Random graphs on real workers, broker and database end as the reference interpreter says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from executions import services
from executions.engine.status import FINAL, NODE_FINAL, NodeStatus, Status
from executions.models import Execution
from tests.blocks import run_block
from tests.factories import make_published, make_user, rows_of
from tests.reference import Outcome, execution_outputs, fatal, interpret
from tests.scale import long, many
from tests.servers import running_worker, wait_until
from tests.strategies import Drawn, random_graph

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

#: So small that nearly every stream is spread over chunks, and that every wave needs several lanes.
NARROW = {"AGENTPLATFORM_LANES": 2, "AGENTPLATFORM_CHUNK_ITEMS": 2}
WIDE = {"AGENTPLATFORM_LANES": 2, "AGENTPLATFORM_CHUNK_ITEMS": 100}


@dataclass(frozen=True)
class Case:
    """A graph that was started, and what the reference has for it."""

    name: str
    drawn: Drawn
    expected: dict[Any, Outcome]
    execution_id: UUID

    @property
    def fatal(self) -> set[Any]:
        return fatal(self.drawn.nodes, self.drawn.links, self.expected)


WIDTHS = [pytest.param(NARROW, id="narrow"), pytest.param(WIDE, id="wide")]


@pytest.fixture(scope="module", params=WIDTHS)
def spread(request: pytest.FixtureRequest, django_db_setup: None) -> Iterator[dict[str, int]]:
    """Run a worker for each queue, and say how wide they spread the work."""
    given = {name: str(value) for name, value in request.param.items()}
    environment = given | {"AGENTPLATFORM_EXTRA_BLOCKS": "tests.blocks:TEST_BLOCKS"}
    with (
        running_worker("default", "threads", extra_env=environment),
        running_worker("cpu", "prefork", extra_env=environment),
    ):
        yield request.param


@pytest.fixture(autouse=True)
def _spread_here_too(spread: dict[str, int], settings: Any) -> None:
    for name, value in spread.items():
        setattr(settings, name, value)


def test_ends_as_the_reference_for_some_graphs():
    cases = started(range(30))

    wait_for(cases, within_s=30)

    assert_as_the_reference(cases)


def test_stops_as_the_reference_allows_for_some_graphs():
    cases = started(seeds_that_stop(5))

    wait_for(cases, within_s=30)

    assert_as_the_reference(cases)


@long
def test_ends_as_the_reference_for_hundreds_of_graphs(spread):
    offset = 1000 if spread is NARROW else 2000
    cases = started(range(offset, offset + many(150)))

    wait_for(cases, within_s=90)

    assert_as_the_reference(cases)


def test_stops_as_the_reference_allows_for_many_graphs():
    cases = started(seeds_that_stop(many(40)))

    wait_for(cases, within_s=120)

    assert_as_the_reference(cases)


def started(seeds: Any) -> list[Case]:
    """Start the graph of each seed, all before any is waited for."""
    owner = make_user()
    cases = []
    for seed in seeds:
        drawn = random_graph(seed)
        version = make_published(drawn.nodes, drawn.links, owner)
        execution = services.start(version_id=version.pk, owner_id=owner.pk, inputs=drawn.inputs)
        expected = interpret(drawn.nodes, drawn.links, run_block, drawn.inputs)
        cases.append(Case(f"seed {seed}", drawn, expected, execution.pk))
    return cases


def seeds_that_stop(count: int) -> list[int]:
    """Return the seeds of the first graphs in which a failure ends the execution."""
    found: list[int] = []
    seed = 0
    while len(found) < count:
        drawn = random_graph(seed)
        if fatal(drawn.nodes, drawn.links, interpret(drawn.nodes, drawn.links, run_block, drawn.inputs)):
            found.append(seed)
        seed += 1
    return found


def wait_for(cases: list[Case], *, within_s: float) -> None:
    """Wait until all have ended. Nothing is lost here, so nobody reconciles: what stands still shall be seen."""
    ids = {case.execution_id: case.name for case in cases}

    def left() -> dict[str, str]:
        rows = Execution.objects.filter(pk__in=ids).exclude(status__in=FINAL).values_list("pk", "status")
        return {ids[pk]: status for pk, status in rows}

    try:
        wait_until(lambda: not left(), within_s=within_s, what="The end of all executions")
    except AssertionError as error:
        raise AssertionError(f"{error}; left are {left()}") from None


def assert_as_the_reference(cases: list[Case]) -> None:
    """Compare every node execution and the execution itself."""
    wrong = {case.name: found for case in cases if (found := differences(case))}
    assert wrong == {}


def differences(case: Case) -> list[str]:
    """Return in what an execution is not as the reference has it."""
    execution = Execution.objects.get(pk=case.execution_id)
    rows = {key: shown(row) for key, row in rows_of(case.execution_id).items()}
    expected = {key: expected_shown(case.drawn, key, outcome) for key, outcome in case.expected.items()}
    found = [f"{key}: {row} instead of {expected.get(key)}" for key, row in rows.items() if row != expected.get(key)]
    if not case.fatal:
        found += [f"{key} is missing" for key in expected.keys() - rows.keys()]
        ending = (Status.SUCCEEDED, execution_outputs(case.drawn.nodes, case.expected), "", "")
        return found + ([f"ended as {_ending(execution)}, not {ending}"] if _ending(execution) != ending else [])
    blamed = {(key, (case.expected[key, path].error or {})["code"]) for key, path in case.fatal}
    if execution.status != Status.FAILED or (execution.error_node, execution.error_code) not in blamed:
        found.append(f"ended as {_ending(execution)}, not FAILED by one of {blamed}")
    return found + [f"{key} is left as {row[0]}" for key, row in rows.items() if row[0] not in NODE_FINAL]


def _ending(execution: Execution) -> tuple[str, dict[str, Any], str, str]:
    return execution.status, execution.outputs, execution.error_code, execution.error_node


def shown(row: Any) -> tuple[str, dict[str, Any], tuple[str, ...], str]:
    """Return what is compared of a row: status, outputs, missing pins, error code."""
    return row.status, row.outputs, tuple(row.missing_pins), row.error_code


def expected_shown(drawn: Drawn, key: Any, outcome: Outcome) -> tuple[str, dict[str, Any], tuple[str, ...], str]:
    """Return the same of the reference; what a failure gives to its linked `error` pin is kept as an output."""
    is_caught = any(link.source == key[0] and link.source_pin.startswith("error") for link in drawn.links)
    outputs = dict(outcome.outputs)
    if outcome.status == NodeStatus.FAILED and is_caught and outcome.error is not None:
        outputs = {"error": [{name: outcome.error[name] for name in ("code", "message", "hint")}]}
    return outcome.status, outputs, tuple(outcome.missing), outcome.error["code"] if outcome.error else ""
