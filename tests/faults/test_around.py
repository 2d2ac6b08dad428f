"""What goes on beside the work of a long run: it is all kept where nothing strikes, and what is not kept is found."""

from __future__ import annotations

from typing import Any

import pytest

from executions import own_subscriptions
from executions.models import Fire, Schedule, Subscription, Wait
from tests.factories import make_user
from tests.faults.around import EVERY_S, Around
from tests.faults.load import Load
from tests.faults.shapes import make_asking, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack
from tests.receiver import receiving
from tests.servers import wait_until

pytestmark = pytest.mark.slow


def test_what_is_promised_beside_the_work_is_kept_or_found_missing(stack: Stack, load: Load, settings: Any):
    settings.AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S = EVERY_S
    stack.worker("one")
    owner = make_user()
    with receiving(body=b"") as receiver:
        around = Around(load, receiver, owner, [make_one(owner=owner)], make_one(owner=owner))
        around.begin()
        load.begin(make_asking(owner), 2)

        def has_seen_all() -> bool:
            around.look()
            return len(around.answered) == 2 and Fire.objects.exists() and len(around.sent) > 1

        wait_until(has_seen_all, what="An answer, a time and a delivery", within_s=60)
        around.rest(within_s=60)

        assert_sound(load)
        assert list(around.problems()) == []
        lost = next(came for came in receiver.came if came.payload["type"] == "execution.succeeded")
        receiver.came[:] = [came for came in receiver.came if came.id != lost.id]
        Wait.objects.filter(pk=next(iter(around.answered))).update(comment="no")
        assert len(list(around.problems())) == 2
    for subscription in Subscription.objects.all():
        own_subscriptions.delete(subscription)
    Schedule.objects.all().delete()
