"""The same over RabbitMQ: messages by another broker change nothing, also when it stops, forgets, or is out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.environment import SERVERS
from tests.faults import rabbit
from tests.faults.load import Load
from tests.faults.shapes import make_diamond, make_items, make_one, make_wide
from tests.faults.sound import assert_sound
from tests.faults.stack import Route, Stack, running_stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not rabbit.is_installed(), reason="Debian's package rabbitmq-server is not installed"),
]


@pytest.fixture(scope="module")
def hares(django_db_blocker: Any) -> Iterator[Stack]:
    """A stack whose messages go over RabbitMQ."""
    with django_db_blocker.unblock(), running_stack(SERVERS.folder / "rabbit", broker="rabbitmq") as stack:
        for member in (stack.web(), stack.beat()):
            member.wait()
        yield stack


def test_goes_on_whatever_becomes_of_rabbitmq(hares: Stack, django_db_blocker: Any):
    with django_db_blocker.unblock(), hares.attached():
        load, broker = Load(hares), hares.proxy("broker")
        doomed = hares.worker("doomed", is_kept=True)
        cpu = hares.worker("cpu", "cpu", route=Route(broker=broker))
        doomed.wait(), cpu.wait()
        shapes = [make_diamond(seconds=0.05), make_items(), make_wide(5)]

        with hares.sink.holding():
            (execution_id,) = load.begin(make_one())
            hares.sink.wait_for(1, ids=[execution_id])
            doomed.kill9()
        for shape in shapes:
            load.begin(shape, 3)
        broker.reset()
        load.begin(shapes[0], 2)
        hares.stop_broker()
        load.begin(shapes[0], 2)
        hares.lose_broker()
        hares.resume("rabbitmq")
        load.begin(shapes[1], 2)

        assert_sound(load)
        assert cpu.starts == 1
