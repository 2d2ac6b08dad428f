"""Live events on real servers: each told once and in order, whoever reads, however often a reader breaks off, whatever is away."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from access import keyring
from access.models import ApiKey
from blocks import registry
from executions import invariants, services
from executions.engine.spec import LinkSpec
from executions.models import Execution, LiveEvent, StatusNote
from graphs.models import GraphVersion
from tests.acceptance.crew import BLOCKS, one_way, wait_for_end
from tests.acceptance.probes import EFFECTS_FILE, PROBES, Act
from tests.blocks import node
from tests.factories import make_published, make_user
from tests.live import ENDS, get, path_of, stream, token_of
from tests.scale import long
from tests.servers import Web, environment_of_processes, running_web, running_worker, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def worker_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return BLOCKS | {EFFECTS_FILE: str(tmp_path_factory.mktemp("effects") / "effects.jsonl")}


@pytest.fixture(scope="module")
def web(django_db_setup: None, worker_environment: dict[str, str]) -> Iterator[Web]:
    """A worker, and the web that is asked."""
    beats = {"AGENTPLATFORM_EVENTS_HEARTBEAT_S": "0.2"}
    with running_worker(extra_env=worker_environment), running_web(extra_env=worker_environment | beats) as web:
        yield web


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*PROBES)


def start(version: GraphVersion, **inputs: Any) -> Execution:
    return services.start(version_id=version.pk, owner_id=version.graph.owner_id, inputs=inputs)


def token_for(execution: Execution) -> str:
    return token_of(execution.owner)


def told(web: Web, execution: Execution, *, last: int = 0) -> list[dict[str, Any]]:
    with stream(web, path_of(execution.pk), token_for(execution), last=last) as opened:
        return [event for event in opened.events() if "number" in event]


def many(count: int) -> GraphVersion:
    nodes = [node("items", "test.stream", input=1, count=count), node("each", "test.echo-io")]
    return make_published(nodes, [LinkSpec("items", "item", "each", "input")])


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["number"] for event in events]


def threads_of(web: Web) -> int:
    return len(list(Path(f"/proc/{web.pid}/task").iterdir()))


def connections_of_followed() -> int:
    """Return how many connections a web of this name holds to the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'followed'")
        return int(cursor.fetchone()[0])


class TestFollowing:
    def test_tells_what_happens_while_it_happens(self, web: Web) -> None:
        version = one_way(Act, seconds=4.0)
        token = token_of(version.graph.owner)
        execution = start(version, number=7)

        with stream(web, path_of(execution.pk), token) as opened:
            seen = [
                (event["type"], event.get("node", ""), Execution.objects.get(pk=execution.pk).is_final)
                for event in opened.events()
            ]

        assert [one for one in seen if not one[2]] == [
            ("execution.queued", "", False),
            ("execution.running", "", False),
            ("node.started", "number", False),
            ("node.succeeded", "number", False),
            ("node.started", "act", False),
        ]
        assert [one for one in seen if one[2]] == [
            ("node.succeeded", "act", True),
            ("node.started", "result", True),
            ("node.succeeded", "result", True),
            ("execution.succeeded", "", True),
        ]

    def test_tells_what_came_out_and_what_it_cost(self, web: Web) -> None:
        execution = start(one_way(Act), number=7)
        wait_for_end([execution.pk])

        *_, last = told(web, execution)

        assert last["outputs"] == {"result": 7}
        assert (last["cost_microcredits"], last["input_tokens"], last["error"]) == (0, 0, None)

    def test_shows_that_it_is_still_there(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=1.5), number=7)

        with stream(web, path_of(execution.pk), token_for(execution)) as opened:
            list(opened.events())

        assert ": still here" in opened.comments

    def test_goes_on_where_it_broke_off_with_nothing_lost_and_nothing_twice(self, web: Web) -> None:
        execution = start(many(120))
        random, seen, last = Random(7), list[dict[str, Any]](), 0

        while not seen or seen[-1]["type"] not in ENDS:
            with stream(web, path_of(execution.pk), token_for(execution), last=last) as opened:
                for event in opened.events():
                    seen.append(event)
                    last = event["number"]
                    if random.random() < 0.1:
                        break

        assert numbers(seen) == list(range(1, len(seen) + 1))
        assert len(seen) == LiveEvent.objects.filter(execution_id=execution.pk).count()
        assert sum(event["type"] == "node.succeeded" for event in seen) == 121

    def test_goes_on_for_whoever_comes_just_when_the_last_one_leaves(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=2.0), number=7)
        token = token_for(execution)

        for _ in range(30):
            with stream(web, path_of(execution.pk), token, timeout_s=20) as opened:
                next(opened.events())

        assert numbers(told(web, execution)) == list(range(1, 10))

    def test_has_ended_for_whom_everything_was_told(self, web: Web) -> None:
        execution = start(one_way(Act), number=7)
        *_, last = told(web, execution)

        with stream(web, path_of(execution.pk), token_for(execution), last=last["number"]) as again:
            assert (again.status, list(again.events())) == (204, [])

    def test_tells_the_same_by_two_processes_at_once(self, web: Web, worker_environment: dict[str, str]) -> None:
        execution = start(many(60))
        heard: dict[int, list[dict[str, Any]]] = {}

        def follow(place: int, there: Web, token: str) -> None:
            with stream(there, path_of(execution.pk), token) as opened:
                heard[place] = [event for event in opened.events() if "number" in event]

        with running_web(extra_env=worker_environment) as other:
            readers = [
                threading.Thread(target=follow, args=[place, there, token_for(execution)])
                for place, there in enumerate([web, other, web, other])
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join(60)

        assert numbers(heard[0]) == list(range(1, len(heard[0]) + 1))
        assert heard[0] == heard[1] == heard[2] == heard[3]
        assert invariants.check(only=["I10"], grace_s=0) == []

    def test_tells_a_cancellation_and_its_end(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=60.0), number=7)
        kinds = []

        with stream(web, path_of(execution.pk), token_for(execution)) as opened:
            for event in opened.events():
                kinds.append(event["type"])
                if event.get("node") == "act" and event["type"] == "node.started":
                    services.cancel(execution)

        assert kinds[-3:] == ["execution.cancelling", "node.cancelled", "execution.cancelled"]

    def test_costs_an_execution_that_nobody_watches_nothing(self, web: Web) -> None:
        execution = start(one_way(Act), number=7)

        wait_for_end([execution.pk])

        assert not LiveEvent.objects.exists()
        assert not StatusNote.objects.exists()


class TestPolling:
    def test_answers_with_what_there_is(self, web: Web) -> None:
        execution = start(one_way(Act), number=7)
        wait_for_end([execution.pk])

        status, page = get(web, f"{path_of(execution.pk)}?wait=30&after=3", token_for(execution))

        assert (status, page["last_id"], page["is_over"]) == (200, 9, True)
        assert [event["id"] for event in page["events"]] == [4, 5, 6, 7, 8, 9]

    def test_waits_for_what_comes(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=1.0), number=7)
        pages, last = [], 0

        while not pages or not pages[-1]["is_over"]:
            pages.append(get(web, f"{path_of(execution.pk)}?wait=30&after={last}", token_for(execution))[1])
            last = pages[-1]["last_id"]

        assert [event["id"] for page in pages for event in page["events"]] == list(range(1, 10))
        assert all(page["events"] for page in pages)

    def test_waits_no_longer_than_it_was_told(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=60.0), number=7)
        wait_until(lambda: get(web, f"{path_of(execution.pk)}?wait=0", token_for(execution))[1]["last_id"] == 5)

        status, page = get(web, f"{path_of(execution.pk)}?wait=1&after=5", token_for(execution))

        assert (status, page) == (200, {"events": [], "last_id": 5, "is_over": False})


class TestAsking:
    @pytest.mark.parametrize(
        "query", ["?wait=61", "?wait=-1", "?wait=x", "?after=-1", "?after=1e9", f"?after={10**30}"]
    )
    def test_for_what_can_not_be_is_refused(self, web: Web, query: str) -> None:
        execution = start(one_way(Act), number=7)

        status, problem = get(web, path_of(execution.pk) + query, token_for(execution))

        assert (status, problem["code"]) == (400, "INVALID_REQUEST")

    def test_is_for_the_owner_alone(self, web: Web) -> None:
        execution = start(one_way(Act), number=7)
        stranger = token_of(make_user())
        unknown = path_of(UUID(int=execution.pk.int ^ 1))

        assert get(web, path_of(execution.pk))[0] == 401
        assert get(web, path_of(execution.pk), stranger) == get(web, unknown, stranger)
        assert get(web, path_of(execution.pk), stranger, Accept="text/event-stream")[0] == 404


class TestReaders:
    def test_share_one_thread_and_one_connection(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=60.0), number=7)
        token = token_for(execution)
        named = {"DATABASE_URL": f"{environment_of_processes()['DATABASE_URL']}&application_name=followed"}
        named["AGENTPLATFORM_DB_POOL"] = "0"  # so that a connection is there only while somebody holds it

        with running_web(extra_env=named) as there, ExitStack() as readers:
            for _ in range(60):
                opened = readers.enter_context(stream(there, path_of(execution.pk), token))
                next(opened.events())
            wait_until(lambda: connections_of_followed() <= 2, what="Closed connections")
            wait_until(lambda: threads_of(there) < 30, what="Ended threads")
            readers.close()
            wait_until(lambda: connections_of_followed() == 0, what="No connection while nobody reads")

    def test_that_stall_cost_others_nothing_and_lose_nothing(self, web: Web) -> None:
        execution = start(many(3000))
        token = token_for(execution)

        with stream(web, path_of(execution.pk), token, small=True) as stalled:
            quick = told(web, execution)
            slow = [event for event in stalled.events() if "number" in event]

        assert quick[-1]["type"] == "execution.succeeded"
        assert slow == quick
        assert numbers(quick) == list(range(1, len(quick) + 1))

    def test_beyond_the_limit_are_told_to_come_again(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=60.0), number=7)
        path, token = path_of(execution.pk), token_for(execution)

        with running_web(extra_env={"AGENTPLATFORM_MAX_EVENT_READERS": "3"}) as there, ExitStack() as readers:

            def come(_: int) -> int:
                return readers.enter_context(stream(there, path, token)).status

            with ThreadPoolExecutor(16) as at_once:
                came = Counter(at_once.map(come, range(16)))
            status, problem = get(there, path, token)
            readers.close()
            wait_until(lambda: get(there, f"{path}?wait=0", token)[0] == 200, what="A place that is free again")

        assert came == {200: 3, 503: 13}
        assert (status, problem["code"]) == (503, "TOO_MANY_READERS")

    @pytest.mark.parametrize(
        "let_in_no_more",
        [
            pytest.param(lambda key: keyring.revoke(key), id="revoked"),
            pytest.param(
                lambda key: get_user_model().objects.filter(pk=key.owner_id).update(is_active=False),
                id="deactivated",
                marks=long,
            ),
            pytest.param(
                lambda key: ApiKey.objects.filter(pk=key.pk).update(networks=["203.0.113.0/24"]), id="from-elsewhere"
            ),
        ],
    )
    def test_whom_nothing_lets_in_any_more_are_told_nothing_further(self, web: Web, let_in_no_more: Any) -> None:
        execution = start(one_way(Act, seconds=60.0), number=7)
        path, token = path_of(execution.pk), token_for(execution)
        key = ApiKey.objects.get(prefix=token[:9])
        wait_until(lambda: get(web, f"{path}?wait=0", token)[1]["last_id"] == 5)

        polling = f"{path}?wait=60&after=5"
        with stream(web, path, token) as opened, stream(web, polling, token, timeout_s=30.0) as polled:
            events = opened.events()
            seen = [next(events) for _ in range(5)]
            let_in_no_more(key)
            seen += events
            # Both end by themselves, long before what they follow.
            assert not Execution.objects.get(pk=execution.pk).is_final
            assert json.load(polled.response) == {"events": [], "last_id": 5, "is_over": False}

        assert numbers(seen) == [1, 2, 3, 4, 5]
        assert get(web, path, token)[0] in (401, 403)

    def test_whose_key_is_good_go_on_when_another_is_revoked(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=60.0), number=7)
        path, token = path_of(execution.pk), token_for(execution)
        other = token_for(execution)

        with stream(web, path, token) as opened, stream(web, path, other) as revoked:
            seen = [next(opened.events())]
            keyring.revoke(ApiKey.objects.get(prefix=other[:9]))
            list(revoked.events())
            services.cancel(execution)
            seen += opened.events()

        assert seen[-1]["type"] == "execution.cancelled"

    def test_go_on_when_the_database_has_cut_them_off(self, web: Web) -> None:
        execution = start(one_way(Act, seconds=2.0), number=7)

        with stream(web, path_of(execution.pk), token_for(execution)) as opened:
            events = opened.events()
            seen = [next(events)]
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%executions_liveevent%'"
                    " AND pid <> pg_backend_pid()"
                )
            seen += events

        assert numbers(seen) == list(range(1, 10))
