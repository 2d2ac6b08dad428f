"""The API of schedules: whose they are, what comes next in both zones, and what can be done with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from executions import schedules
from executions.models import Execution, Fire, Schedule
from tests.factories import make_user
from tests.schedules import make_schedule
from tests.webhooks import make_listener, make_sender

pytestmark = pytest.mark.django_db

SCHEDULES = "/api/v1/schedules/"


@pytest.fixture
def user():
    return make_user("ada")


@pytest.fixture
def api(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def version(user):
    return make_listener(a=0, owner=user)


def ask(of: Any, **fields: Any) -> dict[str, Any]:
    return {
        "graph": str(of.graph_id),
        "name": "Nightly",
        "kind": "cron",
        "cron": "0 9 * * mon-fri",
        "timezone": "Europe/Berlin",
        **fields,
    }


def at(schedule: Any, path: str = "") -> str:
    return f"{SCHEDULES}{schedule.pk}/{path}"


class TestANewSchedule:
    def test_tells_its_next_times_in_both_zones(self, api, version):
        made = api.post(SCHEDULES, ask(version), format="json")

        assert made.status_code == 201, made.data
        fires = made.data["next_fires"]
        assert len(fires) == 5
        assert all(fire["local"][11:16] == "09:00" and fire["utc"].endswith("Z") for fire in fires)
        assert {fire["utc"][11:16] for fire in fires} <= {"07:00", "08:00"}
        assert made.data["next_fire_at_local"] == fires[0]["local"]
        assert api.get(SCHEDULES).data["results"][0]["next_fire_at_local"] == fires[0]["local"]

    def test_of_a_time_without_an_offset_is_of_its_zone(self, api, version):
        made = api.post(SCHEDULES, ask(version, kind="once", at="2036-01-01T09:00:00"), format="json")

        assert made.data["next_fire_at"] == "2036-01-01T08:00:00Z"
        assert [fire["local"] for fire in made.data["next_fires"]] == ["2036-01-01T09:00:00+01:00"]

    @pytest.mark.parametrize(
        ("fields", "status", "path"),
        [
            ({"cron": "* * *"}, 422, "cron"),
            ({"timezone": "Mars/Olympus"}, 422, "timezone"),
            ({"timezone": "localtime"}, 422, "timezone"),
            ({"inputs": {"b": 1}}, 422, "inputs.b"),
            ({"version": str(uuid4())}, 422, "version"),
            ({"kind": "interval", "every_s": 5}, 422, "every_s"),
            ({"kind": "once", "at": "0001-01-01T00:00:00+14:00"}, 422, "at"),
            ({"kind": "once", "at": "9999-12-31T23:59:59"}, 422, "at"),
            ({"kind": "interval", "every_s": 31622400, "at": "9999-12-31T23:59:59Z"}, 422, "at"),
            ({"kind": "interval", "every_s": 31622400, "at": "0001-01-01T00:00:00"}, 422, "at"),
            ({"kind": "never"}, 400, "kind"),
            ({"overlap": "never"}, 400, "overlap"),
            ({"every_s": 2**70}, 400, "every_s"),
            ({"name": "x" * 201}, 400, "name"),
        ],
    )
    def test_that_can_not_be_is_refused_at_its_field(self, api, version, fields, status, path):
        answer = api.post(SCHEDULES, ask(version, **fields), format="json")

        assert answer.status_code == status, answer.data
        assert path in str(answer.data)
        assert Schedule.objects.count() == 0

    def test_of_anothers_graph_or_version_is_of_none(self, api, version):
        theirs = make_listener("a")

        answers = [
            api.post(SCHEDULES, ask(theirs), format="json"),
            api.post(SCHEDULES, ask(version, graph=str(uuid4())), format="json"),
            api.post(SCHEDULES, ask(version, version=str(theirs.pk)), format="json"),
        ]

        assert [answer.status_code for answer in answers] == [404, 404, 422]
        assert answers[0].data == answers[1].data


class TestASchedule:
    def test_can_be_changed_and_counts_its_time_anew(self, api, version):
        schedule = make_schedule(version)

        changed = api.patch(at(schedule), {"kind": "cron", "cron": "30 6 * * 7", "name": "Sundays"}, format="json")

        assert changed.status_code == 200, changed.data
        assert {fire["utc"][11:16] for fire in changed.data["next_fires"]} == {"06:30"}
        assert (changed.data["every_s"], changed.data["at"]) == (None, None)

    def test_can_be_paused_and_resumed(self, api, version):
        schedule = make_schedule(version)

        paused = api.post(at(schedule, "pause/"))
        assert (paused.data["is_paused"], len(paused.data["next_fires"])) == (True, 5)
        resumed = api.post(at(schedule, "resume/"))

        assert resumed.data["is_paused"] is False

    def test_can_be_fired_at_once_and_the_execution_says_what_started_it(self, api, version):
        schedule = make_schedule(version)

        fired = api.post(at(schedule, "fire/"))

        assert (fired.status_code, fired.data["is_manual"]) == (202, True)
        started = api.get(f"/api/v1/executions/{fired.data['execution']}/").data["started_by"]
        assert (started["kind"], started["id"], started["name"]) == ("schedule", str(schedule.pk), "nightly")
        assert started["of"] == fired.data["id"]

    def test_that_can_not_be_fired_says_why(self, api, version):
        schedule = make_schedule(version)
        Schedule.objects.update(inputs={"b": 1})

        answer = api.post(at(schedule, "fire/"))

        assert (answer.status_code, answer.data["code"]) == (422, "EXECUTION_INPUTS_INVALID")

    def test_can_be_deleted_with_its_times(self, api, version):
        schedule = make_schedule(version)
        schedules.fire_now(schedule)

        assert api.delete(at(schedule)).status_code == 204
        assert (Fire.objects.count(), Execution.objects.count()) == (0, 1)

    def test_shows_what_became_of_its_times(self, api, version):
        schedule = make_schedule(version, catch_up="skip", timezone="Asia/Tokyo")
        assert schedule.next_fire_at is not None
        schedules.fire_due(schedule.next_fire_at + timedelta(seconds=125))

        every = api.get(at(schedule, "fires/")).data["results"]
        missed = api.get(at(schedule, "fires/"), {"status": "MISSED"}).data["results"]

        assert sorted(fire["status"] for fire in every) == ["FIRED", "MISSED", "MISSED"]
        assert [fire["execution"] for fire in missed] == [None, None]
        assert all(fire["fire_at_local"].endswith("+09:00") for fire in every)


def test_what_is_not_stored_can_be_looked_at_too(api):
    coming = api.post(
        f"{SCHEDULES}preview/",
        {"kind": "cron", "cron": "30 2 29 3 *", "timezone": "Europe/Berlin", "count": 20},
        format="json",
    )

    assert len(coming.data) == 20
    # In these years, the clocks go forward on that night.
    leaps = {moment["local"][:16] for moment in coming.data if moment["local"][11:16] != "02:30"}
    assert leaps == {f"{year}-03-29T03:00" for year in (2037, 2043) if year > now().year}
    assert Schedule.objects.count() == 0


def test_an_execution_of_a_webhook_says_so_and_one_that_was_asked_for_names_nothing(api, user, version):
    sender = make_sender(version)
    sender.send({"a": 1})

    (of_webhook,) = Execution.objects.all()
    asked = api.post("/api/v1/executions/", {"graph": str(version.graph_id)}, format="json").data

    shown = api.get(f"/api/v1/executions/{of_webhook.pk}/").data
    assert (shown["started_by"]["kind"], shown["started_by"]["id"]) == ("webhook", str(sender.webhook.pk))
    assert asked["started_by"] is None
    assert api.get(f"/api/v1/executions/{asked['id']}/").data["started_by"] is None
