"""The tools that a model may want called: those that the node declares, and no others. Nothing is called here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from blocks.llm._reading import Call
from blocks.llm._schemas import JsonSchema, read
from blocks.sdk import BlockError, BlockSchema


class Tool(BlockSchema):
    """A tool, as the model is told of it."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = Field(default="", max_length=4_000)
    #: What its arguments have to look like.
    parameters: JsonSchema = Field(default_factory=lambda: {"type": "object", "properties": {}})
    #: Whether what the model wants is done, or a person asked first: for what acts on the world.
    policy: Literal["allow", "ask"] = "allow"


def declared(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return the tools as the provider is told of them."""
    return [{"type": "function", "function": tool.model_dump(exclude={"policy"})} for tool in tools]


def checked(calls: Sequence[Call], tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return what the model wants called, each `{"id", "name", "arguments"}`.

    Raises:
        BlockError: it wants a tool that is not declared (`TOOL_NOT_ALLOWED`), or gives it what does not fit (`OUTPUT_INVALID`).
    """
    known = {tool.name: tool for tool in tools}
    return [_checked(call, known.get(call.name)) for call in calls]


def _checked(call: Call, tool: Tool | None) -> dict[str, Any]:
    if tool is None:
        raise BlockError(
            f"The model wants to call {call.name[:64]!r}, which is not among the tools of this node.",
            code="TOOL_NOT_ALLOWED",
            hint="Declare the tool, or look at what the model was given to read.",
        )
    arguments, problem = read(call.arguments or "{}", tool.parameters)
    if problem:
        raise BlockError(
            f"The model gave {tool.name} arguments that do not fit. {problem}",
            code="OUTPUT_INVALID",
            hint="Describe the tool more closely, or ask a larger model.",
            path="calls",
        )
    return {"id": call.id, "name": tool.name, "arguments": arguments}
