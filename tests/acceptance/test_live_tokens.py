"""What models make is told while they make it: without their keys, and without which everything goes on just as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from blocks.llm.ask_model import AskModelBlock
from blocks.text.fill_template import FillTemplateBlock
from executions import services
from executions.engine.spec import LinkSpec, NodeSpec
from executions.models import Execution
from graphs.models import GraphVersion
from tests.acceptance.crew import wait_for_end
from tests.blocks import facts_of
from tests.factories import make_published
from tests.live import path_of, stream, token_of
from tests.scale import long
from tests.servers import Answer, ScriptedLlm, Web, running_web, running_worker, scripted_llm

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KEY = "sk-CANARY-0123456789abcdef"
DRINKS = ("Green ", "tea, ", "of ", "course.")
#: The key, in pieces of which none holds it.
LEAK = ("My key is sk-CAN", "ARY-01234567", "89abc", "def, and now", " you know.")


@pytest.fixture(scope="module")
def llm() -> Iterator[ScriptedLlm]:
    def answer(body: dict[str, Any]) -> Answer:
        return Answer(pieces=LEAK if "key" in body["messages"][-1]["content"] else DRINKS, piece_s=0.3)

    with scripted_llm(default=answer) as llm:
        yield llm


@pytest.fixture(scope="module")
def of_worker(llm: ScriptedLlm) -> dict[str, str]:
    return {"OPENAI_BASE_URL": llm.url, "OPENAI_API_KEY": KEY}


@pytest.fixture(scope="module")
def web(django_db_setup: None) -> Iterator[Web]:
    with running_web() as web:
        yield web


@pytest.fixture
def worker(of_worker: dict[str, str]) -> Iterator[None]:
    with running_worker(extra_env=of_worker):
        yield


def ask_for(what: str) -> Execution:
    nodes = [
        NodeSpec(
            "ask", AskModelBlock.id, {"prompt": what, "model": "m", "stream": True}, block=facts_of(AskModelBlock)
        ),
        NodeSpec("say", FillTemplateBlock.id, {"template": "{{ x }}"}, block=facts_of(FillTemplateBlock)),
    ]
    version: GraphVersion = make_published(nodes, [LinkSpec("ask", "response", "say", "values_#_x")])
    return services.start(version_id=version.pk, owner_id=version.graph.owner_id)


def followed(web: Web, execution: Execution) -> list[dict[str, Any]]:
    with stream(web, path_of(execution.pk), token_of(execution.owner)) as opened:
        return list(opened.events())


def pieces_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "tokens"]


def test_come_before_the_reply_that_they_make(worker: None, web: Web) -> None:
    seen = followed(web, ask_for("A drink."))

    pieces = pieces_of(seen)
    assert len(pieces) > 1
    assert "".join(piece["text"] for piece in pieces) == "Green tea, of course."
    assert [piece["offset"] for piece in pieces] == [
        sum(len(p["text"]) for p in pieces[:n]) for n in range(len(pieces))
    ]
    assert {(p["node"], tuple(p["path"]), p["attempt"], p["reply"]) for p in pieces} == {("ask", (), 1, 1)}
    kinds = [(event["type"], event.get("node")) for event in seen]
    assert kinds.index(("tokens", "ask")) < kinds.index(("node.succeeded", "ask"))
    assert kinds[-1] == ("execution.succeeded", None)


def test_hold_no_key_also_where_no_piece_holds_it_whole(worker: None, web: Web) -> None:
    seen = followed(web, ask_for("Your key."))

    assert "".join(piece["text"] for piece in pieces_of(seen)) == "My key is ***, and now you know."
    assert "CANARY" not in repr(seen)
    assert "89abc" not in repr(seen)


def test_are_missed_by_nobody_who_only_wants_the_reply(of_worker: dict[str, str], web: Web) -> None:
    # A worker whose Redis, but not its broker, is away.
    with running_worker(extra_env=of_worker | {"REDIS_URL": "redis://127.0.0.1:1/0"}) as worker:
        execution = ask_for("A drink.")
        seen = followed(web, execution)
        wait_for_end([execution.pk])
        log = worker.output()

    assert pieces_of(seen) == []
    assert seen[-1]["type"] == "execution.succeeded"
    assert "not shown just now" in log


@long
def test_of_a_web_without_redis_are_all_that_is_missed(worker: None) -> None:
    with running_web(extra_env={"REDIS_URL": "redis://127.0.0.1:1/0", "BROKER_URL": "redis://127.0.0.1:1/0"}) as web:
        seen = followed(web, ask_for("A drink."))

    assert pieces_of(seen) == []
    assert [event["number"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["type"] == "execution.succeeded"
