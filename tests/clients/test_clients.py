"""The Python client: the one that waits and the one that awaits, against a real web and a real worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import connection

from agentplatform_client import AsyncClient, Client, EditedMeanwhile, NotFound, TimedOut, executions, graphs
from blocks import registry
from executions.models import Execution
from graphs.models import GraphVersion
from tests.acceptance.crew import BLOCKS, one_way
from tests.acceptance.probes import EFFECTS_FILE, PROBES, Act
from tests.factories import make_user
from tests.live import token_of
from tests.servers import Web, running_web, running_worker, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return BLOCKS | {EFFECTS_FILE: str(tmp_path_factory.mktemp("effects") / "effects.jsonl")}


@pytest.fixture(scope="module")
def web(django_db_setup: None, environment: dict[str, str]) -> Iterator[Web]:
    with running_worker(extra_env=environment), running_web(extra_env=environment) as web:
        yield web


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*PROBES)


@pytest.fixture
def client(web: Web) -> Iterator[Client]:
    with Client(web.url, token_of(make_user("ada"))) as client:
        yield client


def published(client: Client, **constants: Any) -> GraphVersion:
    """Return a published graph of Ada's."""
    version = one_way(Act, **constants)
    version.graph.owner = make_user_named("ada")
    version.graph.save()
    return version


def make_user_named(name: str) -> Any:
    return get_user_model()._default_manager.get(username=name)


class TestClient:
    def test_runs_a_graph(self, client: Client) -> None:
        version = published(client)

        execution = client.run(executions.start(graph=version.graph_id, inputs={"number": "a\u2028b\x85c"}))

        assert (execution["status"], execution["outputs"]) == ("SUCCEEDED", {"result": "a\u2028b\x85c"})

    def test_follows_what_a_text_holds_that_is_no_line(self, client: Client) -> None:
        version = published(client)
        execution = client.do(executions.start(graph=version.graph_id, inputs={"number": "a\u2028b\x85c\r\nd"}))

        events = list(client.follow(execution["id"]))

        assert events[-1]["outputs"] == {"result": "a\u2028b\x85c\r\nd"}  # type: ignore[typeddict-item]

    def test_follows_over_a_web_that_is_started_anew(self, client: Client, environment: dict[str, str]) -> None:
        version = published(client, seconds=6.0)
        token = token_of(make_user_named("ada"))
        seen: list[Any] = []

        with running_web(extra_env=environment) as first, Client(first.url, token) as follower:
            execution = follower.do(executions.start(graph=version.graph_id, inputs={"number": 7}))
            reading = threading.Thread(target=lambda: seen.extend(follower.follow(execution["id"])))
            reading.start()
            wait_until(lambda: Execution.objects.get(pk=execution["id"]).status == "RUNNING")
            first.kill9()
            with running_web(extra_env=environment, port=first.port):
                reading.join(60)

        assert [event["id"] for event in seen] == list(range(1, 10))

    def test_gives_up_waiting_in_time(self, client: Client) -> None:
        version = published(client, seconds=60.0)

        with pytest.raises(TimedOut):
            client.run(executions.start(graph=version.graph_id, inputs={"number": 7}), timeout_s=1)

    def test_goes_through_all_pages(self, client: Client) -> None:
        version = published(client)
        started = [client.do(executions.start(graph=version.graph_id, inputs={"number": 7}))["id"] for _ in range(5)]

        found = [one["id"] for one in client.each(executions.find(graph=version.graph_id, page_size=2))]

        assert found == started[::-1]

    def test_tells_what_is_not_there(self, client: Client) -> None:
        with pytest.raises(NotFound) as failed:
            client.do(graphs.get("01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"))

        assert (failed.value.status, failed.value.code) == (404, "NOT_FOUND")


class TestAsyncClient:
    async def test_runs_several_side_by_side(self, web: Web) -> None:
        token, version = await sync_to_async(prepared)()

        async with AsyncClient(web.url, token) as client:
            ended = await asyncio.gather(
                *[client.run(executions.start(graph=version.graph_id, inputs={"number": n})) for n in range(4)]
            )

        assert [execution["outputs"] for execution in ended] == [{"result": n} for n in range(4)]

    async def test_follows_and_lists(self, web: Web) -> None:
        token, version = await sync_to_async(prepared)()

        async with AsyncClient(web.url, token) as client:
            execution = await client.do(executions.start(graph=version.graph_id, inputs={"number": 7}))
            events = [event async for event in client.follow(execution["id"])]
            again = [event async for event in client.follow(execution["id"], after=events[-1]["id"])]
            listed = [one["id"] async for one in client.each(executions.find())]

        assert [event["id"] for event in events] == list(range(1, 10))
        assert again == []
        assert listed == [execution["id"]]


def prepared() -> tuple[str, GraphVersion]:
    try:
        version = one_way(Act)
        return token_of(version.graph.owner), version
    finally:
        # Of a thread that outlives the test.
        connection.close()


def test_an_edit_of_what_somebody_else_has_edited_is_refused(client):
    made = client.do(graphs.create({"name": "first", "nodes": []}))
    read = client.read(graphs.get(made["id"]))
    edit = graphs.update(made["id"], {"name": "second", "nodes": []}).only_if(read.etag)

    done = client.do(edit)

    assert (read.answer["name"], done["name"]) == ("first", "second")
    with pytest.raises(EditedMeanwhile) as refused:
        client.do(edit)
    assert refused.value.code == "EDITED_MEANWHILE"


def test_an_edit_that_is_awaited_is_refused_too(client):
    made = client.do(graphs.create({"name": "first", "nodes": []}))

    async def edit_twice() -> str:
        async with AsyncClient(client.settings.url, client.settings.api_key) as waiting:
            read = await waiting.read(graphs.get(made["id"]))
            edit = graphs.update(made["id"], {"name": "second", "nodes": []}).only_if(read.etag)
            await waiting.do(edit)
            with pytest.raises(EditedMeanwhile):
                await waiting.do(edit)
            return read.etag

    assert asyncio.run(edit_twice()).startswith(('"', 'W/"'))
