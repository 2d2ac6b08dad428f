"""F24: many executions of several owners wait in line; all end, and nobody's flood keeps the others waiting."""

from __future__ import annotations

import pytest

from executions.engine.status import FINAL
from executions.models import Execution
from tests.factories import make_user
from tests.faults.load import Load
from tests.faults.shapes import make_chain
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack
from tests.faults.test_large import peak_mb
from tests.scale import many

pytestmark = pytest.mark.slow

FLOOD, SMALL = many(200), 5


def test_a_flood_of_one_owner_ends_and_leaves_the_others_their_turn(stack: Stack, load: Load):
    flooding = make_chain(owner=make_user())
    small = [make_chain(owner=make_user()) for _ in range(2)]
    load.begin(flooding, FLOOD)
    calm = [load.begin(shape, SMALL) for shape in small]

    one = stack.worker("one")
    one.wait()
    load.wait(ids=[execution_id for ids in calm for execution_id in ids])
    left = Execution.objects.filter(owner_id=flooding.owner_id).exclude(status__in=FINAL).count()

    assert_sound(load)
    assert left > FLOOD / 4
    assert peak_mb(one.pid) < 400
