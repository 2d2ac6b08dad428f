"""Loops over sub-graphs: in order, so many at a time, and what becomes of failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from blocks.flow.loop_items import LoopBlock
from blocks.flow.loop_while import LoopWhileBlock
from blocks.flow.run_agent import AgentExecutorBlock
from blocks.sdk import BlockError
from blocks.sdk.sub_graph import SubGraph
from blocks.sdk.testing import MemoryContext, run_block


class Slow(MemoryContext):
    """Runs sub-graphs that take longer the earlier they began, and counts how many run at once."""

    now = most = 0

    async def execute_subgraph(self, call: SubGraph) -> dict[str, Any]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02 / (1 + call.optional["index"]))
        self.now -= 1
        return {"item": call.inputs["item"]}


def fails_for(*bad: Any) -> MemoryContext:
    def run(inputs: dict[str, Any]) -> Any:
        item = inputs["item"]
        return BlockError(f"No {item}.", code="PROBE_FAILED", hint="Take another.") if item in bad else {"out": item}

    return MemoryContext(sub_graphs={"g": run})


async def loop(context: MemoryContext, items: list[Any], **given: Any) -> dict[str, Any]:
    return dict(await run_block(LoopBlock, {"items": items, "subgraph_id": "g", **given}, context=context))


async def test_keeps_the_order_of_the_items_whichever_ends_first():
    gives = await loop(Slow(), list("abc"))

    assert gives["results"] == [{"item": "a"}, {"item": "b"}, {"item": "c"}]


@pytest.mark.parametrize("count", [1, 3])
async def test_runs_so_many_at_the_same_time(count):
    context = Slow()

    await loop(context, list(range(7)), max_parallel=count)

    assert context.most == count


async def test_says_how_far_it_is():
    pairs = await run_block(LoopBlock, {"items": [1, 2], "subgraph_id": "g"}, context=fails_for())

    assert [value for pin, value in pairs if pin == "progress"] == ["Processed 1/2", "Processed 2/2"]


async def test_gives_each_run_its_item_what_all_share_and_its_place_if_that_is_asked_for():
    context = fails_for()

    await loop(context, ["a"], inputs={"tone": "kind"}, item_name="item")

    (call,) = context.called
    assert (call.inputs, call.optional, call.key) == ({"tone": "kind", "item": "a"}, {"index": 0}, "0")


async def test_fails_with_the_first_failure():
    with pytest.raises(BlockError) as failed:
        await loop(fails_for(2), [1, 2, 3])

    assert failed.value.code == "PROBE_FAILED"


@pytest.mark.parametrize(
    ("on_failure", "results"),
    [
        ("continue", [{"out": 1}, {"out": 3}]),
        (
            "collect",
            [{"out": 1}, {"error": {"code": "PROBE_FAILED", "message": "No 2.", "hint": "Take another."}}, {"out": 3}],
        ),
    ],
)
async def test_goes_on_after_a_failure_if_it_shall(on_failure, results):
    gives = await loop(fails_for(2), [1, 2, 3], on_failure=on_failure)

    assert gives["results"] == results
    assert gives["errors"] == [{"index": 1, "code": "PROBE_FAILED", "message": "No 2.", "hint": "Take another."}]


async def loop_while(context: MemoryContext, **given: Any) -> dict[str, Any]:
    return dict(await run_block(LoopWhileBlock, {"subgraph_id": "g", **given}, context=context))


def counts_to(last: int) -> MemoryContext:
    def run(inputs: dict[str, Any]) -> Any:
        return {"number": inputs["number"] + 1, "continue": inputs["number"] + 1 < last}

    return MemoryContext(sub_graphs={"g": run})


async def test_goes_on_with_what_the_run_before_gave():
    gives = await loop_while(counts_to(5), state={"number": 2, "kept": True})

    assert gives == {"state": {"number": 5, "kept": True}, "rounds": 3}


async def test_stops_at_its_limit_with_an_error():
    with pytest.raises(BlockError) as failed:
        await loop_while(counts_to(5), state={"number": 0}, limit=4)

    assert failed.value.code == "LOOP_LIMIT"


async def test_does_not_guess_whether_to_go_on():
    with pytest.raises(BlockError) as failed:
        await loop_while(counts_to(5), state={"number": 0}, condition="again")

    assert failed.value.code == "LOOP_CONDITION_MISSING"


async def test_an_agent_is_a_graph():
    context = MemoryContext(sub_graphs={"a": lambda inputs: {"said": inputs["who"]}})

    gives = await run_block(AgentExecutorBlock, {"agent_id": "a", "inputs": {"who": "Ann"}}, context=context)

    assert gives == [("output", {"said": "Ann"})]
