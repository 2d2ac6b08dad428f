"""What is due is started once, whoever looks; what was missed or must not overlap becomes what its schedule says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction

from agentplatform.lib.clock import now
from executions import own_schedules, pruning, schedules
from executions.engine.calendar import next_fire
from executions.engine.status import Status
from executions.errors import InputsInvalid, ScheduleInvalid
from executions.models import Execution, Fire, FireStatus, Schedule
from executions.plans import plan_of
from graphs import services as graph_services
from graphs.models import Graph
from tests.blocks import node
from tests.factories import document_of, make_published
from tests.integration.executions.races import at_once
from tests.schedules import every, make_schedule
from tests.webhooks import make_listener

MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.django_db


def told(schedule: Schedule) -> list[tuple[str, str]]:
    """Return what became of its times, the earliest first."""
    return list(schedule.fires.order_by("fire_at").values_list("status", "reason"))


def end_all() -> None:
    Execution.objects.unfinished().update(status=Status.SUCCEEDED, ended_at=now())


def beginning(schedule: Schedule) -> datetime:
    assert schedule.next_fire_at
    return schedule.next_fire_at


class TestATimeThatIsDue:
    def test_starts_the_newest_version_with_the_inputs_once(self):
        version = make_listener("a")
        schedule = make_schedule(version, inputs={"a": 7}, priority=5, budget_microcredits=100)
        time = beginning(schedule)

        settled = [schedules.fire_due(time - MINUTE), schedules.fire_due(time), schedules.fire_due(time)]

        execution, fire = Execution.objects.get(), Fire.objects.get()
        schedule.refresh_from_db()
        assert settled == [0, 1, 0]
        assert (execution.version_id, execution.owner_id, execution.inputs) == (version.pk, schedule.owner_id, {"a": 7})
        assert (execution.priority, execution.pk) == (5, fire.execution_id)
        assert (fire.fire_at, fire.status, fire.reason) == (time, FireStatus.FIRED, "")
        assert schedule.next_fire_at == time + MINUTE

    def test_starts_the_version_that_it_is_pinned_to(self):
        version = make_listener("a")
        pinned = make_schedule(version, version=version, inputs={"a": 1})
        publish_another(version.graph)
        schedules.fire_due(beginning(pinned))

        assert Execution.objects.get().version_id == version.pk

    def test_is_started_later_by_its_jitter_and_keeps_its_name(self):
        schedule = make_schedule(jitter_s=50)
        time, due = beginning(schedule), schedule.due_at

        assert due is not None
        assert time <= due <= time + timedelta(seconds=50)
        assert schedules.fire_due(due - timedelta(milliseconds=1)) == 0
        assert schedules.fire_due(due) == 1
        assert Fire.objects.get().fire_at == time

    def test_is_not_started_while_the_schedule_is_paused(self):
        schedule = own_schedules.pause(make_schedule())

        assert schedules.fire_due(beginning(schedule) + MINUTE) == 0
        assert own_schedules.resume(schedule).next_fire_at > now()

    def test_of_once_is_the_only_one(self):
        schedule = make_schedule(kind="once", at=now() + MINUTE)

        schedules.fire_due(beginning(schedule))

        schedule.refresh_from_db()
        assert (schedule.next_fire_at, schedule.due_at) == (None, None)
        assert told(schedule) == [("FIRED", "")]

    def test_goes_by_the_clock_of_the_database(self):
        schedule, before = make_schedule(), now() - timedelta(seconds=3)
        Schedule.objects.update(at=before, next_fire_at=before, due_at=before)

        assert schedules.fire_due() == 1
        assert told(schedule) == [("FIRED", "")]


class TestAStartThatFails:
    def test_is_told_and_the_schedule_goes_on(self):
        version = make_listener("a")
        schedule = make_schedule(version, inputs={"a": 1})
        Schedule.objects.update(inputs={"b": 1})
        time = beginning(schedule)

        schedules.fire_due(time)
        Schedule.objects.update(inputs={"a": 1})
        schedules.fire_due(time + MINUTE)

        first, second = Fire.objects.order_by("fire_at")
        assert (first.status, first.reason, first.execution_id) == ("FAILED", "EXECUTION_INPUTS_INVALID", None)
        assert "no input 'b'" in first.message
        assert (second.status, Execution.objects.count()) == ("FIRED", 1)

    def test_keeps_no_other_schedule_from_being_fired(self, caplog):
        broken, good = make_schedule(), make_schedule()
        Schedule.objects.filter(pk=broken.pk).update(timezone="Nowhere/Atall")

        schedules.fire_due(beginning(good) + MINUTE)

        assert Fire.objects.filter(schedule=good, status="FIRED").exists()
        assert str(broken.pk) in caplog.text

    def test_of_a_version_that_can_not_run_here_is_told_too(self):
        version = make_published([node("only", "test.source")])
        schedule = make_schedule(version)
        plan_of.cache_clear()
        break_published(version.pk)
        schedules.fire_due(beginning(schedule))
        plan_of.cache_clear()

        (fire,) = Fire.objects.all()
        assert (fire.status, fire.reason) == ("FAILED", "UNKNOWN_BLOCK")


class TestTimesThatWereMissed:
    """Beat was away for ten minutes: the last time is due just now, nine were missed."""

    def away(self, **fields: Any) -> list[tuple[str, str]]:
        schedule = make_schedule(**fields)
        schedules.fire_due(beginning(schedule) + 9 * MINUTE)
        return told(schedule)

    def late(self, **fields: Any) -> list[tuple[str, str]]:
        """The same, but all ten were missed when beat comes back."""
        schedule = make_schedule(**every(600), **fields)
        schedules.fire_due(beginning(schedule) + timedelta(seconds=9 * 600 + 300))
        return told(schedule)

    def test_are_left_out(self):
        assert self.away(catch_up="skip") == [("MISSED", "")] * 8 + [("FIRED", "")] * 2
        assert self.late(catch_up="skip") == [("MISSED", "")] * 10

    def test_are_caught_up_once(self):
        assert self.away(catch_up="once") == [("MISSED", "")] * 8 + [("FIRED", "")] * 2
        assert self.late(catch_up="once") == [("MISSED", "")] * 9 + [("FIRED", "CAUGHT_UP")]

    def test_are_all_caught_up_within_the_cap(self):
        assert self.late(catch_up="all", max_catch_up=3) == [("MISSED", "")] * 7 + [("FIRED", "CAUGHT_UP")] * 3
        assert self.late(catch_up="all", max_catch_up=100) == [("FIRED", "CAUGHT_UP")] * 10

    def test_start_and_cost_nothing(self):
        self.late(catch_up="skip")

        assert Execution.objects.count() == 0

    def test_of_once_are_seen(self):
        schedule = make_schedule(kind="once", at=now() + MINUTE, catch_up="skip")

        schedules.fire_due(beginning(schedule) + timedelta(days=300))

        assert told(schedule) == [("MISSED", "")]

    def test_are_many_after_a_month_and_each_is_seen(self):
        schedule = make_schedule(catch_up="once")
        count = 2 * schedules.MISSED_AT_ONCE + 10

        schedules.fire_due(beginning(schedule) + count * MINUTE + timedelta(seconds=59))

        assert told(schedule)[:-1] == [("MISSED", "")] * count
        assert Execution.objects.count() == 1

    def test_are_not_written_down_where_they_would_not_be_kept(self, settings):
        settings.AGENTPLATFORM_KEEP_FIRES_DAYS = 1
        schedule = make_schedule(**every(3600))

        schedules.fire_due(beginning(schedule) + timedelta(days=500))

        assert len(told(schedule)) in (24, 25)


class TestWhatOverlaps:
    def started(self, **fields: Any) -> Schedule:
        schedule = make_schedule(**fields)
        schedules.fire_due(beginning(schedule))
        return schedule

    def go_on(self, schedule: Schedule, minutes: int = 1) -> None:
        schedules.fire_due(beginning(schedule) + minutes * MINUTE)

    def test_is_started_beside_it(self):
        self.go_on(self.started(overlap="allow"))

        assert Execution.objects.count() == 2

    def test_is_left_out_until_it_has_ended(self):
        schedule = self.started(overlap="skip")

        self.go_on(schedule)
        end_all()
        self.go_on(schedule, 2)

        assert told(schedule) == [("FIRED", ""), ("SKIPPED", "OVERLAPS"), ("FIRED", "")]

    def test_waits_for_its_turn(self):
        schedule = self.started(overlap="queue")

        self.go_on(schedule)
        self.go_on(schedule, 2)
        assert told(schedule) == [("FIRED", ""), ("QUEUED", ""), ("QUEUED", "")]
        end_all()
        assert schedules.fire_due(beginning(schedule) + 2 * MINUTE) == 1
        assert schedules.fire_due(beginning(schedule) + 2 * MINUTE) == 0

        assert told(schedule) == [("FIRED", ""), ("FIRED", ""), ("QUEUED", "")]
        own_schedules.pause(schedule)
        assert told(schedule)[-1] == ("SKIPPED", "SCHEDULE_PAUSED")

    def test_does_not_wait_in_a_line_without_end(self, monkeypatch):
        monkeypatch.setattr(schedules, "MOST_QUEUED", 1)
        schedule = self.started(overlap="queue")

        self.go_on(schedule)
        self.go_on(schedule, 2)

        assert told(schedule)[1:] == [("QUEUED", ""), ("SKIPPED", "QUEUE_FULL")]

    @pytest.mark.django_db(transaction=True)
    def test_cancels_what_runs(self):
        schedule = self.started(overlap="cancel")

        self.go_on(schedule)

        first, second = Execution.objects.order_by("id")
        assert (first.status, second.status) == (Status.CANCELLED, Status.QUEUED)
        assert told(schedule) == [("FIRED", "")] * 2

    @pytest.mark.django_db(transaction=True)
    def test_cancels_nothing_that_another_beat_has_just_started(self):
        schedule = self.started(overlap="cancel")
        schedule.refresh_from_db()
        time = beginning(schedule)
        schedules.fire_due(time)

        # As one does who saw it due before that was committed.
        assert not schedules._running(schedule, before=time).filter(status=Status.QUEUED).exists()


@pytest.mark.django_db(transaction=True)
class TestTwoBeats:
    def test_start_each_time_once(self):
        made = [make_schedule(catch_up="all", max_catch_up=5, **every(600)) for _ in range(5)]
        moment = max(beginning(schedule) for schedule in made) + timedelta(seconds=4 * 600)

        at_once(4, lambda number: schedules.fire_due(moment))

        assert Execution.objects.count() == Fire.objects.filter(status="FIRED").count() == 25
        assert Fire.objects.count() == 25

    def test_that_do_not_see_each_others_lock_are_told_apart_by_the_row(self):
        schedule = make_schedule()
        time = beginning(schedule)
        schedules.fire_due(time)
        Schedule.objects.update(next_fire_at=time, due_at=time)

        schedules.fire_due(time)

        assert (Execution.objects.count(), Fire.objects.count()) == (1, 1)

    def test_keep_neither_the_row_nor_the_execution_if_one_dies_before_its_commit(self, monkeypatch):
        schedule = make_schedule()

        def die(name: str) -> None:
            raise SystemExit

        monkeypatch.setattr(schedules.failpoints, "reach", die)
        with pytest.raises(SystemExit):
            schedules.fire_due(beginning(schedule))
        monkeypatch.undo()

        assert (Fire.objects.count(), Execution.objects.count()) == (0, 0)
        assert schedules.fire_due(beginning(schedule)) == 1


class TestClocksThatChange:
    """F19 by a clock that is held: two beats look each 20 minutes, through the nights in which clocks change."""

    def through(self, zone: str, night: str, **timing: Any) -> list[str]:
        begin = datetime.fromisoformat(night).replace(tzinfo=ZoneInfo(zone))
        schedule = make_schedule(timezone=zone, **timing)
        schedule.set_next(next_fire(schedule.timing, begin))
        schedule.save()
        for number in range(3 * 8):
            for _ in range(2):
                schedules.fire_due(begin.astimezone(UTC) + number * 20 * MINUTE)
        fires = schedule.fires.filter(status="FIRED").order_by("fire_at")
        assert Execution.objects.count() == fires.count() == schedule.fires.count()
        return [f"{fire.fire_at.astimezone(ZoneInfo(zone)):%H:%M%z}" for fire in fires]

    @pytest.mark.parametrize(
        ("zone", "night", "cron", "fired"),
        [
            ("Europe/Berlin", "2027-03-28T00:00", "20 2 * * *", ["03:00+0200"]),
            ("Europe/Berlin", "2027-10-31T00:00", "20 2 * * *", ["02:20+0200"]),
            ("America/New_York", "2027-03-14T00:00", "20 2 * * *", ["03:00-0400"]),
            ("America/New_York", "2027-11-07T00:00", "20 1 * * *", ["01:20-0400"]),
            (
                "Europe/Berlin",
                "2027-03-28T00:50",
                "0 * * * *",
                [f"{hour:02}:00+0{1 + (hour > 1)}00" for hour in (1, 3, 4, 5, 6, 7, 8, 9)],
            ),
            (
                "America/New_York",
                "2027-11-07T00:50",
                "0 * * * *",
                ["01:00-0400", "01:00-0500", *(f"{hour:02}:00-0500" for hour in range(2, 8))],
            ),
        ],
    )
    def test_leave_nothing_out_and_start_nothing_twice(self, settings, zone, night, cron, fired):
        settings.AGENTPLATFORM_SCHEDULE_GRACE_S = 1200.0

        assert self.through(zone, night, kind="cron", cron=cron) == fired


class TestItsGraph:
    def test_pauses_it_when_it_is_archived(self):
        schedule = make_schedule()
        Graph.objects.update(is_archived=True)

        schedules.fire_due(beginning(schedule) + 10 * MINUTE)

        schedule.refresh_from_db()
        assert (schedule.is_paused, schedule.pause_reason) == (True, "GRAPH_ARCHIVED")
        assert told(schedule)[-1] == ("SKIPPED", "GRAPH_ARCHIVED")
        assert Execution.objects.count() == 0

    def test_lets_what_is_queued_wait_while_it_is_archived(self):
        schedule = make_schedule(overlap="queue")
        schedules.fire_due(beginning(schedule))
        schedules.fire_due(beginning(schedule) + MINUTE)
        end_all()
        Graph.objects.update(is_archived=True)

        assert schedules.fire_due(beginning(schedule) + MINUTE) == 0
        assert told(schedule) == [("FIRED", ""), ("QUEUED", "")]

    def test_that_is_archived_takes_no_place_of_one_that_is_not(self, monkeypatch):
        waiting = [make_schedule(overlap="queue") for _ in range(4)]
        moments = [max(map(beginning, waiting)), max(map(beginning, waiting)) + MINUTE]
        for moment in moments:
            schedules.fire_due(moment)
        end_all()
        last = waiting[-1]
        Graph.objects.exclude(pk=last.graph_id).update(is_archived=True)
        monkeypatch.setattr(schedules, "AT_ONCE", 1)

        assert schedules.fire_due(moments[-1]) == 1
        assert told(last) == [("FIRED", ""), ("FIRED", "")]

    def test_takes_it_along_when_it_is_deleted(self):
        version = make_listener("a")
        schedule = make_schedule(version, version=version, inputs={"a": 1}, catch_up="skip")
        schedules.fire_due(beginning(schedule) + timedelta(seconds=90))
        Fire.objects.filter(status="FIRED").delete()
        Execution.objects.all().delete()

        version.graph.delete()

        assert (Schedule.objects.count(), Fire.objects.count()) == (0, 0)
        assert schedules.fire_due(now() + timedelta(days=1)) == 0


class TestFireNow:
    def test_starts_beside_its_times(self):
        schedule = own_schedules.pause(make_schedule(overlap="skip"))

        fires = [schedules.fire_now(schedule), schedules.fire_now(schedule)]

        assert [fire.is_manual for fire in fires] == [True, True]
        assert Execution.objects.filter(pk__in=[fire.execution_id for fire in fires]).count() == 2

    def test_that_can_not_be_started_leaves_nothing(self):
        schedule = make_schedule(make_listener("a"), inputs={"a": 1})
        Schedule.objects.update(inputs={})

        with pytest.raises(InputsInvalid):
            schedules.fire_now(schedule)

        assert Fire.objects.count() == 0


class TestAChange:
    def test_of_its_time_counts_from_now(self):
        schedule = make_schedule()

        changed = own_schedules.update(schedule, cron="0 12 * * *", kind="cron", timezone="Asia/Tokyo")

        assert changed.next_fire_at is not None
        assert (changed.next_fire_at.hour, changed.next_fire_at.minute) == (3, 0)
        assert changed.every_s is None

    def test_of_something_else_leaves_its_next_time(self):
        schedule = make_schedule()

        assert own_schedules.update(schedule, name="other").next_fire_at == schedule.next_fire_at


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"kind": "cron", "cron": "* * * *"}, "cron"),
        ({"kind": "cron", "cron": "0 0 30 2 *"}, "cron"),
        ({"kind": "cron", "cron": "x" * 201}, "cron"),
        ({"kind": "sometimes"}, "kind"),
        ({"every_s": 59}, "every_s"),
        ({"every_s": None}, "every_s"),
        ({"every_s": 10**9}, "every_s"),
        ({"kind": "once", "at": None}, "at"),
        ({"kind": "once", "at": datetime.fromisoformat("2020-01-01")}, "at"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"jitter_s": 61}, "jitter_s"),
        ({"jitter_s": 4000}, "jitter_s"),
        ({"name": ""}, "name"),
        ({"priority": 101}, "priority"),
        ({"budget_microcredits": -1}, "budget_microcredits"),
        ({"catch_up": "maybe"}, "catch_up"),
        ({"max_catch_up": 101}, "max_catch_up"),
        ({"overlap": "maybe"}, "overlap"),
    ],
)
def test_what_can_not_be_a_schedule_is_refused(fields, path):
    with pytest.raises(ScheduleInvalid) as refused:
        make_schedule(**fields)

    assert refused.value.path == path
    assert Schedule.objects.count() == 0


def test_an_operator_may_forbid_what_comes_too_often(settings):
    settings.AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S = 300
    make_schedule(kind="cron", cron="*/5 * * * *")

    with pytest.raises(ScheduleInvalid):
        make_schedule(kind="cron", cron="0,4 * * * *")


def test_a_version_of_another_graph_is_refused():
    with pytest.raises(ScheduleInvalid) as refused:
        make_schedule(version=make_listener("a"))

    assert refused.value.path == "version"


def test_a_time_without_a_zone_is_of_the_zone_of_the_schedule():
    schedule = make_schedule(kind="once", at=datetime.fromisoformat("2036-07-01T09:00"), timezone="Europe/Berlin")

    assert schedule.next_fire_at is not None
    assert schedule.next_fire_at.isoformat() == "2036-07-01T07:00:00+00:00"


def test_the_database_refuses_a_second_row_of_a_time():
    schedule = make_schedule()
    Fire.objects.create(schedule=schedule, fire_at=beginning(schedule), status="MISSED")

    with pytest.raises(IntegrityError, match="a_time_is_fired_once"), transaction.atomic():
        Fire.objects.create(schedule=schedule, fire_at=beginning(schedule), status="MISSED")


def test_what_is_old_is_not_kept(settings):
    schedule = make_schedule()
    schedules.fire_due(beginning(schedule))
    assert pruning.prune_fires() == 0

    with connection.cursor() as cursor:
        cursor.execute("UPDATE executions_fire SET id = '00000000-0000-7000-8000-000000000000'")

    assert pruning.prune_fires() == 1


def publish_another(graph: Graph) -> None:
    graph_services.save_draft(graph, document_of([node("only", "test.source")]))
    graph_services.publish(graph)


def break_published(version_id: Any) -> None:
    """Let a published version use a block that is not installed here, as a downgrade would."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE graphs_node SET block_id = 'gone' WHERE version_id = %s", [version_id])
        cursor.execute("SET LOCAL session_replication_role = origin")
