"""Every message arrives three times: every firing is run and settled once."""

from __future__ import annotations

import re

import pytest
import redis

from blocks import registry
from tests.acceptance.crew import assert_all_ended_well, start_many, two_ways, working
from tests.acceptance.postman import Postman
from tests.acceptance.probes import PROBES, ActOnce
from tests.scale import long, many

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("count", [10, pytest.param(many(40), marks=[pytest.mark.slow, long])])
def test_what_is_delivered_thrice_happens_once(count, redis_url, tmp_path):
    registry.register(*PROBES)
    elsewhere = re.sub(r"\d+$", lambda number: str(int(number[0]) + 8), redis_url)
    redis.Redis.from_url(elsewhere).flushdb()
    two_brokers = {
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.two_brokers",
        "BROKER_URL": elsewhere,
        "BROKER_WRITE_URL": redis_url,
    }

    with Postman(redis_url, elsewhere, copies=3) as postman, working(tmp_path, two_brokers) as crew:
        ids = start_many(two_ways(Act=ActOnce), count)
        assert_all_ended_well(crew, ids)

    assert postman.delivered >= 3 * count
    assert set(crew.effects_of(ids).values()) == {1}
