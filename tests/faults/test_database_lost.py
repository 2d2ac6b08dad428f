"""F7-F10: the database crashes, refuses, does not answer, or is out of reach, and every firing is settled once all the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from executions.models import NodeExecution
from tests.faults.blocks import CallAgain
from tests.faults.chaosproxy import Mode
from tests.faults.load import Load
from tests.faults.shapes import FAILED, make_diamond, make_items, make_one, make_wide
from tests.faults.sound import assert_sound
from tests.faults.stack import PATIENT, Route, Stack
from tests.servers import wait_until

pytestmark = pytest.mark.slow

#: What only a claim says, and what only a claim does that sets money aside.
CLAIM, HOLD = b'"mark":', b"INSERT INTO executions_hold"
#: What a late writer must not change.
SETTLED = ("execution_id", "status", "worker", "fence", "ended_at", "attempt")


def test_goes_on_over_crashes_of_the_database(stack: Stack, load: Load):
    stack.worker("one").wait()
    stack.worker("cpu", "cpu").wait()
    shape = make_diamond(seconds=0.05)

    for _ in range(3):
        load.begin(shape, 6)
        connection.close()
        stack.crash_postgres()

    assert_sound(load, forgotten=3)
    assert all(stack.members[name].starts == 1 for name in ("one", "cpu"))


def test_the_web_says_that_it_is_unavailable_while_the_database_is_away(stack: Stack, load: Load):
    shape = make_one()
    load.begin(shape)
    connection.close()
    stack.members["postgres"].kill9()

    answer = load.ask(shape)
    stack.resume("postgres")
    stack.worker("one")

    assert answer.status == 503
    assert answer.body["code"] == "DATABASE_UNAVAILABLE"
    assert int(answer.headers["Retry-After"]) > 0
    assert_sound(load)


@pytest.mark.parametrize(
    ("code", "table"),
    [("40001", "nodeexecution"), ("40P01", "nodeexecution"), ("40001", "execution"), ("40P01", "account")],
)
def test_what_the_database_asks_to_repeat_is_repeated(stack: Stack, load: Load, code: str, table: str):
    with refusing_every_third_update(f"executions_{table}", code):
        stack.worker("one", **PATIENT), stack.worker("cpu", "cpu", **PATIENT)
        for shape in (make_diamond(), make_wide(10), make_items()):
            load.begin(shape, 4)
        load.wait()

    assert_sound(load)
    assert set(stack.sink.counts(load.ids).values()) == {1}


def test_serializable_transactions_that_fail_are_repeated(stack: Stack, load: Load):
    serializable = f"{stack.postgres.url}&options=-c%20default_transaction_isolation%3Dserializable"
    isolated = {"DATABASE_URL": serializable, **PATIENT}
    stack.worker("one", **isolated), stack.worker("two", **isolated), stack.worker("cpu", "cpu", **isolated)

    for shape in (make_diamond(), make_wide(10), make_items()):
        load.begin(shape, 6)

    assert_sound(load)
    assert set(stack.sink.counts(load.ids).values()) == {1}


def test_a_commit_whose_answer_is_lost_counts_once(stack: Stack, load: Load):
    database = stack.proxy("database")
    stack.worker("one", route=Route(database=database), **PATIENT).wait()
    shape = make_items()

    for times in (1, 2, 1):
        database.lose_answer(b"COMMIT", times=times)
        load.begin(shape, 2)
        load.wait()

    assert_sound(load)
    assert database.lost_answers == 4
    assert set(stack.sink.counts(load.ids).values()) == {1}
    assert set(rows_of(load, "attempt", "crashes")) == {(1, 0)}


@pytest.mark.parametrize(("to", "after"), [(CLAIM, b""), (b"COMMIT", HOLD)], ids=["free", "paid"])
def test_a_claim_whose_answer_is_lost_is_no_reason_to_wait_for_its_lease(
    stack: Stack, load: Load, to: bytes, after: bytes
):
    database = stack.proxy("database")
    stack.worker("one", route=Route(database=database), **PATIENT).wait()

    database.lose_answer(to, after=after)
    load.begin(make_items(), 2)

    assert_sound(load)
    assert database.lost_answers == 1
    assert set(stack.sink.counts(load.ids).values()) == {1}
    assert set(rows_of(load, "attempt", "crashes")) == {(1, 0)}


def test_connections_cut_in_the_middle_of_anything_lose_nothing(stack: Stack, load: Load):
    database = stack.proxy("database")
    stack.worker("one", route=Route(database=database)).wait()
    shape = make_diamond()
    stack.worker("cpu", "cpu")

    for after_bytes in (300, 1_700, 4_100, 9_300, 14_500):
        database.cut_after(after_bytes)
        load.begin(shape, 2)
        load.wait()

    assert_sound(load)


def test_a_worker_cut_off_from_the_database_is_replaced_and_writes_nothing_late(stack: Stack, load: Load):
    database = stack.proxy("database")
    lost = stack.worker("lost", route=Route(database=database))
    lost.wait()

    with stack.sink.holding():
        load.begin(make_one(), 3)
        stack.sink.wait_for(3, ids=load.ids)
        database.set(Mode.BLACKHOLE)
        stack.worker("heir", **PATIENT)
        stack.sink.wait_for(6, ids=load.ids)
    load.wait()
    settled = rows_of(load, *SETTLED)
    database.heal()

    assert_sound(load)
    wait_until(lambda: "another worker has taken over" in lost.tail(200).lower(), what="The late writer's refusal")
    assert rows_of(load, *SETTLED) == settled
    assert {attempt for key, attempt in rows_of(load, "node_key", "attempt") if key == "act"} == {2}


def test_a_worker_cut_off_from_the_database_begins_no_further_effect_after_its_lease(stack: Stack, load: Load):
    database = stack.proxy("database")
    lost = stack.worker("lost", route=Route(database=database))
    lost.wait()

    load.begin(make_one(CallAgain, name="again", also=FAILED, fails=True))
    stack.sink.wait_for(2, ids=load.ids)
    database.set(Mode.BLACKHOLE)
    cut_off_at = time.time()
    wait_until(lambda: time.time() > cut_off_at + 8.0, what="Most of the tries that it has")
    late = [effect.at - cut_off_at for effect in stack.sink.all() if effect.pid == lost.pid]
    database.heal()

    assert_sound(load)
    # A lease, a heartbeat, and some seconds for a busy machine; the last try before that look would come after seven and a half.
    assert max(late) < 2.0 + 0.5 + 4.0


def rows_of(load: Load, *fields: str) -> list[tuple[object, ...]]:
    """Return what is stored of the firings."""
    return list(NodeExecution.objects.filter(execution_id__in=load.ids).order_by("id").values_list(*fields))


@contextmanager
def refusing_every_third_update(table: str, code: str) -> Iterator[None]:
    """Let the database answer every third update with this code. A sequence counts on whatever is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE fault_counter")
        cursor.execute(
            f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('fault_counter') % 3 = 0"
            f" THEN RAISE EXCEPTION 'as it was told' USING ERRCODE = '{code}'; END IF; RETURN NULL; END $$"
        )
        cursor.execute(f"CREATE TRIGGER fault BEFORE UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION fault()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER fault ON {table}")
            cursor.execute("DROP FUNCTION fault")
            cursor.execute("DROP SEQUENCE fault_counter")
