"""F12 and F13: messages that come twice, late, in any order, or long after their work was done."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan, plan
from executions.engine.progress import Progress
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus
from executions.models import NodeExecution
from tests.blocks import node
from tests.faults.courier import Courier
from tests.faults.load import Load
from tests.faults.shapes import make_diamond, make_items, make_once, make_wide
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack

CARRIED = 5


@pytest.mark.slow
def test_messages_that_come_thrice_late_and_in_any_order_change_nothing(stack: Stack, load: Load):
    elsewhere = stack.database_of_valkey(CARRIED)
    two_brokers = {
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.two_brokers",
        "BROKER_URL": elsewhere,
        "BROKER_WRITE_URL": stack.valkey.url,
    }
    stack.worker("one", **two_brokers), stack.worker("cpu", "cpu", **two_brokers)

    with Courier(stack.valkey.url, elsewhere, copies=3, late_s=0.5, seed=7) as courier:
        for shape in (make_diamond(seconds=0.02), make_items(), make_wide(5), make_once()):
            load.begin(shape, 4)
        load.wait()
        before = list(NodeExecution.objects.filter(execution_id__in=load.ids).order_by("id").values())
        again = courier.deliver_again()
        (last,) = load.begin(make_diamond())
        load.wait(ids=[last])

    assert_sound(load)
    assert again >= 10
    after = NodeExecution.objects.filter(execution_id__in=load.ids).exclude(execution_id=last)
    assert list(after.order_by("id").values()) == before
    assert set(stack.sink.counts(load.ids).values()) == {1}


def test_a_join_of_five_is_the_same_in_whichever_order_they_end():
    parents = [node(f"p{number}", "test.source", value=number) for number in range(5)]
    links = [LinkSpec(one.key, "output", "join", f"values_#_{one.key}") for one in parents]
    drawn = plan([*parents, node("join", "test.nested")], links)

    fired = [joined(drawn, order) for order in permutations(range(5))]

    once = [("join", (), {f"values_#_p{number}": number for number in range(5)})]
    assert fired == [once] * 120


def joined(drawn: Plan, order: tuple[int, ...]) -> list[tuple[str, Path, dict[str, Any]]]:
    """Return what fires when the parents end in this order."""
    progress = Progress(drawn, range(len(drawn.segments)), done=frozenset(), known={})
    progress.take_ready()
    fired = []
    for place in order:
        progress.resolve(drawn.index_of[f"p{place}"], (), Outcome(NodeStatus.SUCCEEDED, {"output": [place]}))
        fired += progress.take_ready()
    return [(drawn.nodes[firing.node].key, firing.path, dict(firing.arrived)) for firing in fired]
