"""F22: what is large goes through PostgreSQL and never through the broker, and what is too large is refused."""

from __future__ import annotations

import pytest
from django.db import connection

from executions.engine.spec import LinkSpec
from executions.models import Execution
from tests.blocks import node
from tests.faults.blocks import Large, Measure
from tests.faults.load import Load
from tests.faults.shapes import Shape, make_items, make_one, make_wide, probe, published
from tests.faults.sound import assert_sound
from tests.faults.stack import Route, Stack

pytestmark = pytest.mark.slow

MEGA = 1_000_000
TOO_LARGE = frozenset({("FAILED", "OUTPUT_TOO_LARGE")})


def test_a_request_of_fifty_megabytes_is_refused_and_leaves_nothing(stack: Stack, load: Load):
    shape = make_one()
    load.begin(shape)
    asked = {"version": str(shape.version_id), "inputs": {"number": "x" * 50 * MEGA}}

    answer = load.call("POST", "/api/v1/executions/", asked, owner_id=shape.owner_id)
    stack.worker("one")

    assert answer.status == 413
    assert Execution.objects.count() == 1
    assert_sound(load)


def test_large_values_stay_out_of_the_broker_and_of_the_workers_memory(stack: Stack, load: Load):
    broker = stack.proxy("broker")
    one = stack.worker("one", route=Route(broker=broker))
    one.wait()

    load.begin(make_large(5 * MEGA), 4)
    load.begin(make_wide(200))
    load.begin(make_items(300))

    assert_sound(load)
    assert broker.most_bytes < 64 * 1024
    assert peak_mb(one.pid) < 600


def test_a_list_of_ten_thousand_items_is_one_value(stack: Stack, load: Load):
    one = stack.worker("one")
    (execution_id,) = load.begin(make_list(10_000))

    assert_sound(load)
    assert Execution.objects.get(pk=execution_id).outputs == {"result": 10_000}
    assert peak_mb(one.pid) < 600


def test_an_output_above_the_limit_fails_its_node_alone(stack: Stack, load: Load):
    stack.worker("one")

    (execution_id,) = load.begin(make_one(Large, name="huge", also=TOO_LARGE, size=20 * MEGA))
    load.begin(make_one(), 2)

    assert_sound(load)
    assert Execution.objects.get(pk=execution_id).error_code == "OUTPUT_TOO_LARGE"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('executions_nodeexecution_default')")
        assert cursor.fetchone()[0] < MEGA


def make_large(size: int) -> Shape:
    """Return a graph that passes a large text from one node to the next."""
    nodes = [
        node("number", "test.input", name="number"),
        probe("large", Large, size=size),
        probe("measure", Measure),
        node("result", "test.output", name="result"),
    ]
    row = [("number", "large"), ("large", "measure"), ("measure", "result")]
    links = [LinkSpec(one, "output", other, "input") for one, other in row]
    return published("large", nodes, links, None, lambda number: {"result": size}, effects=0)


def make_list(length: int) -> Shape:
    """Return a graph that hands a long list on and counts it."""
    nodes = [
        node("number", "test.input", name="number"),
        node("items", "test.source", value=list(range(length))),
        probe("measure", Measure),
        node("result", "test.output", name="result"),
    ]
    links = [LinkSpec("items", "output", "measure", "input"), LinkSpec("measure", "output", "result", "input")]
    return published("list", nodes, links, None, lambda number: {"result": length}, effects=0)


def peak_mb(pid: int) -> float:
    """Return the most memory that a process has ever held."""
    with open(f"/proc/{pid}/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
