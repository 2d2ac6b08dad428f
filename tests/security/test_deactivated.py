"""Whoever may not log in any more starts nothing, by whichever door; what was begun before goes on, and all is as before once they may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from executions import deliveries, schedules, services
from executions.engine.status import Status
from executions.errors import OwnerInactive
from executions.models import Delivery, Execution, Fire, Overlap, Schedule
from executions.retrying import Ask
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_execution, make_key, make_published, make_user
from tests.schedules import make_schedule
from tests.waiters import make_wait
from tests.webhooks import make_listener, make_sender

pytestmark = pytest.mark.django_db

REFUSED = "OWNER_INACTIVE"


@pytest.fixture
def owner():
    return make_user()


def make_one(owner: Any) -> GraphVersion:
    """Return a graph of theirs that needs nothing."""
    return make_published([node("only", "test.source")], owner=owner)


def deactivate(owner: Any) -> None:
    type(owner).objects.filter(pk=owner.pk).update(is_active=False)


def reactivate(owner: Any) -> None:
    type(owner).objects.filter(pk=owner.pk).update(is_active=True)


class TestASchedule:
    def test_writes_each_time_down_as_refused_and_goes_on_afterwards(self, owner):
        schedule = make_schedule(make_one(owner))
        times = [schedule.next_fire_at + timedelta(minutes=number) for number in range(3)]

        deactivate(owner)
        for time in times[:2]:
            schedules.fire_due(time)
        reactivate(owner)
        schedules.fire_due(times[2])

        fires = schedule.fires.order_by("fire_at")
        assert [(fire.fire_at, fire.status, fire.reason) for fire in fires] == [
            (times[0], "FAILED", REFUSED),
            (times[1], "FAILED", REFUSED),
            (times[2], "FIRED", ""),
        ]
        assert [execution.pk for execution in Execution.objects.all()] == [fires[2].execution_id]

    def test_catches_nothing_up_that_was_refused(self, owner):
        schedule = make_schedule(make_one(owner), catch_up="all")
        deactivate(owner)
        schedules.fire_due(schedule.next_fire_at)
        reactivate(owner)

        schedule.refresh_from_db()
        assert schedules.fire_due(schedule.next_fire_at - timedelta(seconds=1)) == 0
        assert not Execution.objects.exists()

    def test_cancels_nothing_to_make_room_for_what_is_refused(self, owner):
        schedule = make_schedule(make_one(owner), overlap=Overlap.CANCEL)
        schedules.fire_due(schedule.next_fire_at)
        schedule.refresh_from_db()

        deactivate(owner)
        schedules.fire_due(schedule.next_fire_at)

        assert Execution.objects.get().status == Status.QUEUED

    def test_lets_what_is_queued_wait_for_its_turn_in_vain(self, owner):
        schedule = make_schedule(make_one(owner), overlap=Overlap.QUEUE)
        for _ in range(2):
            schedules.fire_due(Schedule.objects.get().next_fire_at)
        deactivate(owner)
        Execution.objects.update(status=Status.SUCCEEDED, ended_at=now())

        schedules.fire_due(schedule.next_fire_at)

        assert list(schedule.fires.order_by("fire_at").values_list("status", "reason")) == [
            ("FIRED", ""),
            ("FAILED", REFUSED),
        ]

    def test_is_not_fired_by_hand_either(self, owner):
        schedule = make_schedule(make_one(owner))
        deactivate(owner)

        with pytest.raises(OwnerInactive):
            schedules.fire_now(schedule)

        assert not Fire.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestAWebhook:
    def test_keeps_what_comes_as_refused_and_starts_it_when_it_comes_again(self, owner):
        sender = make_sender(make_listener("payload", owner=owner))

        deactivate(owner)
        refused = sender.send({"order": 1})
        kept = Delivery.objects.get()
        reactivate(owner)
        taken = sender.send({"order": 1})

        assert (refused.status_code, refused.json()["code"]) == (409, REFUSED)
        assert (kept.status, kept.reason, kept.payload) == ("REFUSED", REFUSED, {"order": 1})
        assert (taken.status_code, taken.json()["execution_id"]) == (202, str(Execution.objects.get().pk))

    def test_tells_nobody_who_waits_either(self, owner):
        sender = make_sender(make_listener("payload", owner=owner), event_name="paid")
        wait = make_wait(make_execution(status="WAITING", owner_id=owner.pk), kind="EVENT", event="paid")
        deactivate(owner)

        answer = sender.send({"order": 1})

        wait.refresh_from_db()
        assert (answer.json()["code"], Delivery.objects.get().reason, wait.status) == (REFUSED, REFUSED, "OPEN")

    def test_starts_nothing_once_more(self, owner):
        sender = make_sender(make_listener("payload", owner=owner))
        sender.send({"order": 1})
        deactivate(owner)

        with pytest.raises(OwnerInactive):
            deliveries.replay(Delivery.objects.get())

        assert (Delivery.objects.count(), Execution.objects.count()) == (1, 1)


class TestAKey:
    def test_opens_nothing_until_its_owner_may_log_in_again(self, owner):
        client = APIClient(headers={"Authorization": f"Bearer {make_key(owner)}"})
        asked = {"version": str(make_one(owner).pk)}

        deactivate(owner)
        refused = client.post("/api/v1/executions/", asked, format="json")
        reactivate(owner)
        taken = client.post("/api/v1/executions/", asked, format="json")

        assert (refused.status_code, taken.status_code) == (401, 202)

    def test_is_no_longer_needed_by_a_session_that_was_open(self, owner):
        browser = APIClient()
        browser.force_login(owner)

        deactivate(owner)

        assert browser.get("/api/v1/executions/").status_code == 401


class TestWhoeverActsForThem:
    """An operator in the console, a command, a view of the same database: they come by the same way."""

    def test_starts_nothing(self, owner):
        version = make_one(owner)
        deactivate(owner)

        with pytest.raises(OwnerInactive), transaction.atomic():
            services.start(version_id=version.pk, owner_id=owner.pk, budget_microcredits=5)

        assert not Execution.objects.exists()

    def test_goes_on_from_nothing(self, owner):
        ended = make_execution(make_one(owner), status=Status.FAILED)
        deactivate(owner)

        with pytest.raises(OwnerInactive):
            services.retry(ended, Ask(), owner_id=owner.pk)

        assert Execution.objects.count() == 1
