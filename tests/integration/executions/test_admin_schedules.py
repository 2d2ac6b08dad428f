"""The console's pages of schedules: made and changed, paused, resumed, fired at once, and what became of their times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from agentplatform.lib.clock import now
from executions import schedules
from executions.models import Execution, Fire, Schedule
from tests.factories import make_user
from tests.schedules import make_schedule
from tests.webhooks import make_listener

pytestmark = pytest.mark.django_db

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def console() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def at(model: str, what: str = "changelist", *args: object) -> str:
    return reverse(f"admin:executions_{model}_{what}", args=args)


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def asked(graph_id: Any, **fields: Any) -> dict[str, Any]:
    given = {
        "graph": graph_id,
        "name": "Nightly",
        "kind": "cron",
        "cron": "0 9 * * mon-fri",
        "timezone": "Europe/Berlin",
        "inputs": "{}",
        "jitter_s": 0,
        "catch_up": "once",
        "max_catch_up": 10,
        "overlap": "skip",
        "priority": 0,
    }
    return given | fields


class TestANewSchedule:
    def test_is_made_for_the_owner_of_the_graph(self, console):
        version = make_listener("a")

        made = console.post(at("schedule", "add"), asked(version.graph_id, inputs='{"a": 1}'))

        assert made.status_code == 302, made.content.decode()[:3000]
        schedule = Schedule.objects.get()
        assert (schedule.owner_id, schedule.cron, schedule.inputs) == (
            version.graph.owner_id,
            "0 9 * * mon-fri",
            {"a": 1},
        )

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"cron": "* * *"}, "5 fields"),
            ({"timezone": "Mars/Olympus"}, "There is no time zone"),
            ({"inputs": '{"b": 1}'}, "no input"),
            ({"inputs": "[1]"}, "Give an object."),
            ({"kind": "once", "at": "soon"}, "Give a date and a time"),
            ({"kind": "once", "at": "2020-13-01 00:00"}, "Give a date and a time"),
            ({"kind": "interval", "every_s": 5}, "the shortest is"),
        ],
    )
    def test_that_can_not_be_is_shown_again_with_what_is_wrong(self, console, fields, told):
        page = text_of(console.post(at("schedule", "add"), asked(make_listener("a").graph_id, **fields)))

        assert told in page
        assert Schedule.objects.count() == 0


class TestASchedule:
    def test_is_listed_with_its_next_time_in_both_zones(self, console):
        make_schedule(kind="cron", cron="0 9 1 1 *", timezone="Asia/Tokyo")

        page = text_of(console.get(at("schedule")))

        assert "09:00:00 JST" in page
        assert "00:00:00" in page

    def test_shows_what_comes_and_what_became_of_the_last(self, console):
        schedule = make_schedule(catch_up="skip")
        assert schedule.next_fire_at is not None
        schedules.fire_due(schedule.next_fire_at + timedelta(seconds=120))

        page = text_of(console.get(at("schedule", "change", schedule.pk)))

        assert page.count("MISSED") == 1
        assert page.count("FIRED") == 2
        assert str(Fire.objects.filter(status="FIRED").first().execution_id) in page
        listed = text_of(console.get(at("fire"), {"q": str(schedule.pk)}))
        assert "MISSED" in listed
        assert text_of(console.get(at("fire", "change", Fire.objects.filter(status="MISSED").first().pk)))

    def test_is_changed(self, console):
        schedule = make_schedule()

        changed = console.post(
            at("schedule", "change", schedule.pk),
            asked(schedule.graph_id, kind="once", cron="", at="2036-01-01 09:00"),
        )

        assert changed.status_code == 302, changed.content.decode()[:3000]
        schedule.refresh_from_db()
        assert schedule.next_fire_at is not None
        assert (schedule.kind, schedule.next_fire_at.isoformat()) == ("once", "2036-01-01T08:00:00+00:00")

    def test_keeps_its_next_time_where_only_its_name_is_changed(self, console):
        schedule = make_schedule()
        page = console.get(at("schedule", "change", schedule.pk))
        form = page.context["adminform"].form
        sent = {name: "" if form[name].value() is None else form[name].value() for name in form.fields} | {
            "name": "other",
            "inputs": "{}",
        }

        assert console.post(at("schedule", "change", schedule.pk), sent).status_code == 302

        after = Schedule.objects.get()
        assert (after.name, after.next_fire_at, after.at) == ("other", schedule.next_fire_at, schedule.at)

    def test_that_is_over_can_still_be_renamed(self, console):
        schedule = make_schedule(kind="once", at=now() + timedelta(minutes=1))
        assert schedule.next_fire_at is not None
        schedules.fire_due(schedule.next_fire_at)
        Schedule.objects.update(at=now() - timedelta(days=1))
        form = console.get(at("schedule", "change", schedule.pk)).context["adminform"].form
        sent = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}

        answer = console.post(at("schedule", "change", schedule.pk), sent | {"name": "other", "inputs": "{}"})

        after = Schedule.objects.get()
        assert (answer.status_code, after.name, after.next_fire_at) == (302, "other", None)
        assert "over" in text_of(console.get(at("schedule")))

    def test_is_paused_resumed_and_fired(self, console):
        schedule = make_schedule()

        def do(what: str) -> str:
            return text_of(console.post(at("schedule", "do", schedule.pk, what), follow=True))

        assert "It is paused" in do("pause")
        assert "It goes on with its next time." in do("resume")
        assert "It is started." in do("fire")
        assert Fire.objects.get().is_manual
        page = text_of(console.get(at("execution", "change", Execution.objects.get().pk)))
        assert "the schedule nightly" in page

    def test_that_can_not_be_fired_says_why(self, console):
        schedule = make_schedule()
        Schedule.objects.update(inputs={"b": 1})

        page = text_of(console.post(at("schedule", "do", schedule.pk, "fire"), follow=True))

        assert "no input" in page

    def test_is_deleted(self, console):
        schedule = make_schedule()
        schedules.fire_now(schedule)

        console.post(at("schedule", "delete", schedule.pk), {"post": "yes"})

        assert Schedule.objects.count() == 0

    def test_shows_a_name_as_the_text_that_it_is(self, console):
        schedule = make_schedule(name=HOSTILE)
        schedules.fire_now(schedule)

        for page in (
            at("schedule"),
            at("schedule", "change", schedule.pk),
            at("fire"),
            at("execution", "change", Execution.objects.get().pk),
        ):
            assert HOSTILE not in text_of(console.get(page))


def test_whoever_may_only_look_can_do_nothing():
    schedule, user, client = make_schedule(), make_user(), Client()
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_schedule", "view_fire"]))
    client.force_login(user)

    assert "Fire now" not in text_of(client.get(at("schedule", "change", schedule.pk)))
    assert client.post(at("schedule", "do", schedule.pk, "fire")).status_code == 403
    assert client.get(at("schedule", "add")).status_code == 403
    assert Fire.objects.count() == 0
