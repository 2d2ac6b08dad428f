"""F9: the primary is killed amid work and a streaming replica takes its place: what was accepted is kept, and nothing happens twice."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.environment import SERVERS
from tests.faults.chaosproxy import to_unix
from tests.faults.load import Load
from tests.faults.replica import Replica
from tests.faults.shapes import Shape, make_diamond, make_items, make_once, make_wide
from tests.faults.sound import assert_sound
from tests.faults.stack import Member, Route, Stack, running_stack
from tests.scale import long
from tests.servers import wait_until

pytestmark = [pytest.mark.slow, long]


def socket_of(sockets: Path) -> str:
    return str(sockets / ".s.PGSQL.5432")


@pytest.fixture
def own_stack(django_db_blocker: Any) -> Iterator[Stack]:
    """Servers of this test alone: their primary does not come back."""
    SERVERS.folder.mkdir(parents=True, exist_ok=True)
    with django_db_blocker.unblock(), running_stack(SERVERS.folder / "failover") as stack:
        yield stack


@contextmanager
def asking(load: Load, shapes: list[Shape]) -> Iterator[None]:
    """Start executions without a pause for a `with` block, whatever becomes of the answers."""
    is_over = threading.Event()

    def ask() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            try:
                load.ask(shapes[number % len(shapes)], timeout_s=10.0)
            except (OSError, http.client.HTTPException):
                # The web waits for a primary that is gone, and may have kept it all the same.
                unanswered.append(number)

    unanswered: list[int] = []
    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield
    finally:
        is_over.set()
        asker.join()


def test_a_replica_takes_the_place_of_a_primary_that_is_killed(own_stack: Stack):
    stack, load = own_stack, Load(own_stack)
    primary, replica = stack.postgres, Replica(stack.folder / "replica", of=stack.postgres)
    service = replica.service()
    stack.add(Member("replica", lambda _: service, stack.logs)).wait()
    replica.keep_primary_waiting()
    wait_until(lambda: replica.is_waited_for, what="A replica that is waited for")
    address = stack.proxy("database")
    start_all(stack, Route(database=address))

    with stack.attached():
        shapes = [make_diamond(seconds=0.2), make_items(), make_wide(8), make_once()]
        for shape in shapes:
            load.begin(shape, 3)
        with asking(load, shapes):
            wait_until(lambda: len(stack.sink.all()) > 150, within_s=90.0, what="Work")
            before = len(load.accepted)
            connection.close()
            stack.members["postgres"].kill9()
            replica.promote()
            address.lead_to(to_unix(socket_of(replica.sockets)))
            wait_until(lambda: len(load.accepted) > before + 20, within_s=90.0, what="New work after the failover")
    stack.members.pop("postgres")
    primary.forget()
    stack.postgres = replica

    with stack.attached():
        load.begin(shapes[0], 3)
        # What was claimed need not have reached the replica.
        assert_sound(load, forgotten=1, within_s=180.0)
        assert all(member.starts == 1 for member in stack.members.values())
    print(f"{len(load.accepted)} accepted, {before} of them before; {len(load.refused)} refused meanwhile")


def start_all(stack: Stack, route: Route) -> None:
    """Start the web, beat and workers, all of which know one address of the database."""
    moved = {"DATABASE_URL": stack.addresses(route)["DATABASE_URL"]}
    for member in (
        stack.web(**moved),
        stack.beat(route=route),
        stack.worker("one", route=route),
        stack.worker("two", route=route),
        stack.worker("cpu", "cpu", route=route),
    ):
        member.wait()
