"""Waiting for something that happens outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example
from blocks.sdk.waiting import LONGEST_WAIT_S, MAX_TEXT


class WaitEventInput(BlockSchema):
    input: Any = Field(default=None, description="Link what has to be done first; nothing is made of the value.")
    name: str = Field(min_length=1, max_length=MAX_TEXT, description="The name of the event, such as `invoice.paid`.")
    where: dict[str, Any] = Field(
        default_factory=dict, description='Only an event that contains this is taken, such as `{"invoice": 12}`.'
    )
    timeout_s: float | None = Field(
        default=None, ge=0, le=LONGEST_WAIT_S, description="After so many seconds it goes on without; nothing waits on."
    )
    default: Any = Field(default=None, description="What is sent on if none came in time; without it the node fails.")


class WaitEventOutput(BlockSchema):
    payload: Any = Field(description="What came with the event.")


class WaitEventBlock(Block):
    """Go on with what comes from outside."""

    id = "wait-event-block"
    name = "Wait for event"
    description = "Waits until an event of this name comes from outside, and sends on what came with it."
    input_schema, output_schema = WaitEventInput, WaitEventOutput
    examples = (
        Example(
            given={"name": "invoice.paid", "where": {"invoice": 12}},
            waits=[{"answer": {"invoice": 12, "amount": 80}}],
            gives=[("payload", {"invoice": 12, "amount": 80})],
        ),
        Example(
            given={"name": "invoice.paid", "timeout_s": 3600, "default": "unpaid"},
            waits=[{"status": "TIMED_OUT"}],
            gives=[("payload", "unpaid")],
        ),
    )

    async def execute(self, input_data: WaitEventInput) -> AsyncIterator[tuple[str, Any]]:
        # Null may be the default that is meant, so it counts whether one is given.
        default = {"default": input_data.default} if "default" in input_data.model_fields_set else {}
        yield (
            "payload",
            await self.wait_for_event(
                input_data.name, where=input_data.where, timeout_s=input_data.timeout_s, **default
            ),
        )
