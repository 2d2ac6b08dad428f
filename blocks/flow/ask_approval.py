"""Asking a person before going on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from blocks.sdk import Block, BlockError, BlockSchema, BlockType, Example
from blocks.sdk.waiting import LONGEST_WAIT_S, MAX_TEXT, TimeoutAction

FieldType = Literal["text", "number", "whole number", "yes or no", "date", "choice"]
_TYPES: dict[FieldType, Any] = {"text": str, "number": float, "whole number": int, "yes or no": bool, "date": date}


class FormField(BlockSchema):
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$", description="By this the answer is found.")
    type: FieldType = Field(default="text", description="What is filled in.")
    title: str = Field(default="", max_length=MAX_TEXT, description="What the person reads; the name, if it is empty.")
    options: list[str] = Field(default_factory=list, description="What a choice is made from.")
    required: bool = Field(default=True, description="Whether it has to be filled in to approve.")


class AskApprovalInput(BlockSchema):
    title: str = Field(min_length=1, max_length=MAX_TEXT, description="What the person is asked.")
    data: Any = Field(default=None, description="What it is about; shown to the person, and sent on.")
    editable: bool = Field(default=False, description="Whether the person may change the data before approving.")
    fields: list[FormField] = Field(
        default_factory=list, max_length=50, description="What the person fills in, field by field."
    )
    users: list[int | str] = Field(
        default_factory=list, description="Who may answer, by user name or id. Nobody named means the owner."
    )
    groups: list[int | str] = Field(default_factory=list, description="Groups whose members may answer, by name or id.")
    timeout_s: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="After so many seconds it goes on without; nothing waits on."
    )
    on_timeout: TimeoutAction = Field(default="fail", description="What no answer in time means.")


class AskApprovalOutput(BlockSchema):
    approved: Any = Field(description="The data, as the person left it, if it was approved.")
    rejected: Any = Field(description="The data, if it was rejected.")
    answer: dict[str, Any] = Field(description="What was filled in.")
    answered_by: str = Field(description="The name of the user who answered; empty if nobody did in time.")
    comment: str = Field(description="What the person wrote to it.")


class AskApprovalBlock(Block):
    """Go on at `approved` or at `rejected`, as a person says."""

    id = "ask-approval-block"
    name = "Ask for approval"
    description = "Shows something to a person and goes on as they decide. Nothing is held until then."
    block_type = BlockType.BRANCHING
    input_schema, output_schema = AskApprovalInput, AskApprovalOutput
    examples = (
        Example(
            given={"title": "Send this?", "data": "Dear Ada", "users": ["ben"]},
            waits=[{"answer": {"approved": True}, "answered_by": "ben"}],
            gives=[("answer", {}), ("answered_by", "ben"), ("comment", ""), ("approved", "Dear Ada")],
        ),
        Example(
            given={
                "title": "Pay?",
                "data": {"invoice": 12},
                "fields": [
                    {"name": "amount", "type": "number"},
                    {"name": "account", "type": "choice", "options": ["main", "travel"], "required": False},
                ],
            },
            waits=[{"answer": {"approved": True, "answer": {"amount": 80}}, "comment": "Before Friday."}],
            gives=[
                ("answer", {"amount": 80.0, "account": None}),
                ("answered_by", ""),
                ("comment", "Before Friday."),
                ("approved", {"invoice": 12}),
            ],
        ),
        Example(
            given={"title": "Send this?", "data": "Dear Ada", "timeout_s": 3600, "on_timeout": "reject"},
            waits=[{"status": "TIMED_OUT"}],
            gives=[("answer", {}), ("answered_by", ""), ("comment", ""), ("rejected", "Dear Ada")],
        ),
    )

    async def execute(self, input_data: AskApprovalInput) -> AsyncIterator[tuple[str, Any]]:
        approval = await self.ask_approval(
            input_data.title,
            _form_of(input_data.fields),
            data=input_data.data,
            editable=input_data.editable,
            users=input_data.users,
            groups=input_data.groups,
            timeout_s=input_data.timeout_s,
            on_timeout=input_data.on_timeout,
        )
        yield "answer", approval.answer.model_dump(mode="json") if approval.answer else {}
        yield "answered_by", approval.answered_by
        yield "comment", approval.comment
        yield "approved" if approval.approved else "rejected", approval.data


def _form_of(fields: list[FormField]) -> type[BaseModel] | None:
    """Return the model of a form.

    Raises:
        BlockError: two fields have one name, or a choice has nothing to choose from (`WAIT_INVALID`).
    """
    if not fields:
        return None
    names = [field.name for field in fields]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BlockError(f"Two fields have the name {twice!r}.", code="WAIT_INVALID")
    definitions: dict[str, Any] = {
        # Under a name that can not be one of pydantic's own; what is stored and shown is the alias.
        f"field_{number}": _definition(field)
        for number, field in enumerate(fields)
    }
    config = ConfigDict(extra="forbid", serialize_by_alias=True, title="Answer")
    return create_model("Answer", __config__=config, **definitions)


def _definition(field: FormField) -> tuple[Any, Any]:
    if field.type == "choice":
        if not field.options:
            raise BlockError(f"The choice {field.name!r} has no options.", code="WAIT_INVALID")
        kind: Any = Literal[tuple(field.options)]
    else:
        kind = _TYPES[field.type]
    title = field.title or field.name
    if field.required:
        return kind, Field(alias=field.name, title=title)
    return kind | None, Field(default=None, alias=field.name, title=title)
