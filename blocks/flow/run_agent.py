"""Running another agent as one node of this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, Example

#: As long as a node may run at all: what takes its time is the other agent, whose nodes have their own limits.
LONGEST_S = 86_400.0


class AgentExecutorInput(BlockSchema):
    agent_id: str = Field(min_length=1, description="The id of the agent (the graph) to run.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="What it is given, by the names of its inputs.")
    policy: Literal["allow", "ask"] = Field(
        default="allow", description="`ask`: a person is asked before it runs, and shown what it is given."
    )
    users: list[int | str] = Field(
        default_factory=list, description="Who is asked then, by user name or id; nobody named: the owner."
    )
    groups: list[int | str] = Field(default_factory=list, description="Groups whose members are asked, by name or id.")


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
        Example(
            given={"agent_id": "greeter", "inputs": {"who": "Ann"}, "policy": "ask"},
            waits=[{"answer": {"approved": True}, "answered_by": "ben"}],
            gives=[("output", {"greeting": "Hello, Ann"})],
            sub_graphs={"greeter": [{"greeting": "Hello, Ann"}]},
        ),
    )

    async def execute(self, input_data: AgentExecutorInput) -> AsyncIterator[tuple[str, Any]]:
        if input_data.policy == "ask":
            approval = await self.ask_approval(
                "May this agent run?",
                data={"agent_id": input_data.agent_id, "inputs": input_data.inputs},
                users=input_data.users,
                groups=input_data.groups,
            )
            if not approval.approved:
                raise BlockError(
                    "A person did not allow this agent to run.",
                    code="AGENT_NOT_ALLOWED",
                    hint="Link the pin `error` to go on without it.",
                )
        yield "output", await self.execute_agent(agent_id=input_data.agent_id, inputs=input_data.inputs)
