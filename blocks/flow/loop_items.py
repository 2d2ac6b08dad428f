"""Running another graph once for each item of a list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import Field

from blocks.flow.run_agent import LONGEST_S
from blocks.sdk import Block, BlockError, BlockSchema, Example


class LoopInput(BlockSchema):
    items: list[Any] = Field(description="The graph runs once for each of them.")
    subgraph_id: str = Field(min_length=1, description="The id of the graph to run.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="What each run is given beside its item.")
    item_name: str = Field(default="item", min_length=1, description="The input of the graph that takes the item.")
    max_parallel: int = Field(default=10, ge=1, le=100, description="So many run at the same time.")
    on_failure: Literal["fail", "continue", "collect"] = Field(
        default="fail",
        description="If one fails: `fail` with it at once; `continue` without its result; or `collect`: its error takes its place.",
    )


class LoopOutput(BlockSchema):
    progress: str = Field(description="`Processed 3/10`, each time one has ended.")
    results: list[Any] = Field(description="The outputs of each run by name, in the order of the items.")
    errors: list[dict[str, Any]] = Field(description="What failed: `index`, `code`, `message` and `hint` of each.")


class LoopBlock(Block):
    """Run a graph for each item, several at the same time."""

    id = "loop-block"
    name = "Loop"
    description = "Runs another graph once for each item of a list, several at the same time, and gathers the results."
    input_schema, output_schema = LoopInput, LoopOutput
    timeout_s = LONGEST_S
    streams = frozenset({"progress"})
    examples = (
        Example(
            given={"items": ["a", "b"], "subgraph_id": "shout"},
            gives=[
                ("progress", "Processed 1/2"),
                ("progress", "Processed 2/2"),
                ("results", [{"output": "A"}, {"output": "B"}]),
                ("errors", []),
            ],
            sub_graphs={"shout": [{"output": "A"}, {"output": "B"}]},
        ),
        Example(given={"items": [], "subgraph_id": "shout"}, gives=[("results", []), ("errors", [])]),
    )

    async def execute(self, input_data: LoopInput) -> AsyncIterator[tuple[str, Any]]:
        items, free = input_data.items, asyncio.Semaphore(input_data.max_parallel)
        runs = [asyncio.ensure_future(self._run(input_data, index, free)) for index in range(len(items))]
        try:
            for count, run in enumerate(asyncio.as_completed(runs), start=1):
                ended = await run
                if isinstance(ended, BlockError) and input_data.on_failure == "fail":
                    raise ended
                yield "progress", f"Processed {count}/{len(items)}"
        finally:
            for one in runs:
                one.cancel()
        ends = [one.result() for one in runs]
        if input_data.on_failure == "collect":
            yield "results", [{"error": _told(end)} if isinstance(end, BlockError) else end for end in ends]
        else:
            yield "results", [end for end in ends if not isinstance(end, BlockError)]
        yield "errors", [{"index": at, **_told(end)} for at, end in enumerate(ends) if isinstance(end, BlockError)]

    async def _run(self, given: LoopInput, index: int, free: asyncio.Semaphore) -> dict[str, Any] | BlockError:
        """Run one item when it is its turn. Return its outputs, or why there are none."""
        async with free:
            try:
                return await self.execute_subgraph(
                    graph_id=given.subgraph_id,
                    inputs={**given.inputs, given.item_name: given.items[index]},
                    optional={"index": index},
                    key=str(index),
                )
            except BlockError as error:
                return error


def _told(error: BlockError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "hint": error.hint}
