"""Running another agent as one node of this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example

#: As long as a node may run at all: what takes its time is the other agent, whose nodes have their own limits.
LONGEST_S = 86_400.0


class AgentExecutorInput(BlockSchema):
    agent_id: str = Field(min_length=1, description="The id of the agent (the graph) to run.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="What it is given, by the names of its inputs.")


class AgentExecutorOutput(BlockSchema):
    output: dict[str, Any] = Field(description="What it gives, by the names of its outputs.")


class AgentExecutorBlock(Block):
    """Run another agent and hand on what it gives."""

    id = "agent-block"
    name = "Run an agent"
    description = "Runs another of your agents as a part of this one and hands on its outputs."
    input_schema, output_schema = AgentExecutorInput, AgentExecutorOutput
    timeout_s = LONGEST_S
    examples = (
        Example(
            given={"agent_id": "greeter", "inputs": {"who": "Ann"}},
            gives=[("output", {"greeting": "Hello, Ann"})],
            sub_graphs={"greeter": [{"greeting": "Hello, Ann"}]},
        ),
    )

    async def execute(self, input_data: AgentExecutorInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", await self.execute_agent(agent_id=input_data.agent_id, inputs=input_data.inputs)
