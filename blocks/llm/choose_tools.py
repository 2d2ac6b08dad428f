"""Letting a language model choose what is to be done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.llm._asking import ask_model
from blocks.llm._errors import RETRY
from blocks.llm._inputs import USAGE, AskingInput, Used, ask_of, sum_of
from blocks.llm._tools import Tool, checked, declared
from blocks.llm._usage import COST
from blocks.sdk import Block, BlockSchema, Example
from blocks.sdk.waiting import LONGEST_WAIT_S, MAX_TEXT
from integrations.providers import ProviderName

#: The key of the question.
ASKED = "tools"
CALL = {"id": "call-1", "name": "brew", "arguments": {"drink": "tea"}}
BREW = {
    "name": "brew",
    "parameters": {"type": "object", "properties": {"drink": {"type": "string"}}, "required": ["drink"]},
}


class ChooseToolsInput(AskingInput):
    tools: list[Tool] = Field(
        min_length=1,
        max_length=64,
        description="What the model may choose from: `name`, `description`, `parameters` as a JSON schema, "
        "and `policy: ask` where a person is to be asked before it is called.",
    )
    must_choose: bool = Field(default=False, description="Whether it has to choose at least one.")
    users: list[int | str] = Field(
        default_factory=list,
        description="Who is asked where that is the policy, by user name or id; nobody named: the owner.",
    )
    groups: list[int | str] = Field(default_factory=list, description="Groups whose members are asked, by name or id.")
    timeout_s: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="After so many seconds without an answer it counts as no."
    )


class ChooseToolsOutput(BlockSchema):
    call: dict[str, Any] = Field(description="Each call in turn, as `id`, `name` and `arguments`: one item per call.")
    calls: list[dict[str, Any]] = Field(description="All of them.")
    rejected: list[dict[str, Any]] = Field(description="What a person did not allow, where one was asked.")
    response: str = Field(description="What the model said, if it said anything.")
    usage: Used = Field(description=USAGE)


class ChooseToolsBlock(Block):
    """Let a language model choose from tools; the graph calls them, or does not."""

    id = "llm-tools-block"
    name = "Choose tools"
    description = (
        "Lets a language model choose which of the declared tools to call, and with what. It calls none of them."
    )
    credentials_required = (ProviderName.OPENAI,)
    cost_config = COST
    retry = RETRY
    input_schema, output_schema = ChooseToolsInput, ChooseToolsOutput
    streams = frozenset({"call"})
    examples = (
        Example(
            given={"prompt": "Make me a tea.", "model": "small", "tools": [BREW]},
            answers=[
                {
                    "method": "POST",
                    "path": "/chat/completions",
                    "json": {
                        "choices": [
                            {
                                "message": {
                                    "content": None,
                                    "tool_calls": [
                                        {
                                            "id": "call-1",
                                            "type": "function",
                                            "function": {"name": "brew", "arguments": '{"drink": "tea"}'},
                                        }
                                    ],
                                },
                                "finish_reason": "tool_calls",
                            }
                        ],
                        "usage": {"prompt_tokens": 30, "completion_tokens": 8},
                    },
                }
            ],
            gives=[
                ("call", CALL),
                ("calls", [CALL]),
                ("usage", {"input_tokens": 30, "output_tokens": 8, "model": "small"}),
            ],
        ),
    )

    async def execute(self, input_data: ChooseToolsInput) -> AsyncIterator[tuple[str, Any]]:
        approval = self.approval_of(ASKED)
        chosen = approval.data if approval else await self._chosen(input_data)
        wanted, asked = chosen["calls"], chosen["asked"]
        if asked and approval is None:
            approval = await self.ask_approval(
                f"May {', '.join(dict.fromkeys(call['name'] for call in asked))} be called?"[:MAX_TEXT],
                data=chosen,
                users=input_data.users,
                groups=input_data.groups,
                timeout_s=input_data.timeout_s,
                on_timeout="reject",
                key=ASKED,
            )
        is_allowed = approval is None or approval.approved
        calls = [call for call in wanted if is_allowed or call not in asked]
        for call in calls:
            yield "call", call
        yield "calls", calls
        if asked:
            yield "rejected", [] if is_allowed else asked
        if chosen["response"]:
            yield "response", chosen["response"]
        yield "usage", chosen["usage"]

    async def _chosen(self, input_data: ChooseToolsInput) -> dict[str, Any]:
        """Return what the model wants called, and of that what a person is to be asked about; and what else there is of its reply.

        It is shown with the question, and is there when that was answered: the model is asked once.
        """
        choice = "required" if input_data.must_choose else "auto"
        options = {"tools": declared(input_data.tools), "tool_choice": choice}
        reply = await ask_model(self, ask_of(input_data, **options))
        calls = checked(reply.calls, input_data.tools)
        to_ask = {tool.name for tool in input_data.tools if tool.policy == "ask"}
        asked = [call for call in calls if call["name"] in to_ask]
        return {"asked": asked, "calls": calls, "response": reply.text, "usage": sum_of([reply])}
