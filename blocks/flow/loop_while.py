"""Running another graph again and again while it says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.flow.run_agent import LONGEST_S
from blocks.sdk import Block, BlockError, BlockSchema, Example


class LoopWhileInput(BlockSchema):
    subgraph_id: str = Field(min_length=1, description="The id of the graph to run.")
    state: dict[str, Any] = Field(
        default_factory=dict, description="What the first run is given; each run is given what the one before it gave."
    )
    condition: str = Field(default="continue", min_length=1, description="The output that says whether to go on.")
    limit: int = Field(default=100, ge=1, le=10_000, description="So many runs at most.")


class LoopWhileOutput(BlockSchema):
    state: dict[str, Any] = Field(description="The state after the last run.")
    rounds: int = Field(description="How many runs there were.")


class LoopWhileBlock(Block):
    """Run a graph until it says that it is done."""

    id = "while-block"
    name = "Loop while"
    description = "Runs another graph again and again, each time with what it gave before, while its output says so."
    input_schema, output_schema = LoopWhileInput, LoopWhileOutput
    timeout_s = LONGEST_S
    examples = (
        Example(
            given={"subgraph_id": "halve", "state": {"number": 8}},
            gives=[("state", {"number": 2}), ("rounds", 2)],
            sub_graphs={"halve": [{"number": 4, "continue": True}, {"number": 2, "continue": False}]},
        ),
    )

    async def execute(self, input_data: LoopWhileInput) -> AsyncIterator[tuple[str, Any]]:
        state = dict(input_data.state)
        for number in range(input_data.limit):
            outputs = await self.execute_subgraph(
                graph_id=input_data.subgraph_id, optional={"index": number, **state}, key=str(number)
            )
            if input_data.condition not in outputs:
                raise BlockError(
                    f"The graph has given no output {input_data.condition!r}.",
                    code="LOOP_CONDITION_MISSING",
                    hint="Give it an output node of this name that says whether to go on.",
                )
            goes_on = outputs.pop(input_data.condition)
            state |= outputs
            if not goes_on:
                yield "state", state
                yield "rounds", number + 1
                return
        raise BlockError(
            f"The graph still says to go on after {input_data.limit} runs.",
            code="LOOP_LIMIT",
            hint="Raise the limit, or see why its condition never ends.",
        )
