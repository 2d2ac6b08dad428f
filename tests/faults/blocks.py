"""Blocks whose effects are counted outside, and blocks that take their process with them."""

from __future__ import annotations

import asyncio
import ctypes
import http.client
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from agentplatform.lib import http as door
from blocks.sdk import Block, BlockCostConfig, BlockError, BlockSchema, Effects, Placement, RateLimiter, Retry
from tests.blocks import AnyOutput, bounded
from tests.faults.effects import SINK_URL


class CallInput(BlockSchema):
    input: Any = None
    seconds: float = 0.0
    fails: bool = False


#: What an attempt costs of a block that has an effect, in micro-credits: so money moves wherever faults strike.
COST = 7


class Call(Block):
    """Has its effect over HTTP, then takes its time before it says so."""

    id = "fault.call"
    name = "Call"
    description = "Asks the sink with its idempotency key, waits, hands its input on."
    placement = Placement.IO
    effects = Effects.IDEMPOTENT
    cost_config = BlockCostConfig(cost_type="run", cost_per_unit=COST / 1_000_000)
    input_schema, output_schema = CallInput, AnyOutput

    async def execute(self, input_data: CallInput) -> AsyncIterator[tuple[str, Any]]:
        """Call, wait, hand on."""
        answer = await door.request(
            "POST", os.environ[SINK_URL], headers={"Idempotency-Key": self.idempotency_key}, body=_body(self.id)
        )
        if answer.status != 204:
            raise BlockError(f"The sink answered {answer.status}.")
        await asyncio.sleep(input_data.seconds)
        if input_data.fails:
            raise BlockError("As it was told.", code="PROBE_FAILED")
        yield "output", bounded(input_data.input)


class CallOnce(Call):
    id = "fault.call-once"
    effects = Effects.AT_MOST_ONCE


class CallAgain(Call):
    """Is tried again and again under one lease."""

    id = "fault.call-again"
    retry = Retry(attempts=20, delay_s=0.5, factor=1.0, jitter=0.0)
    #: What has cost something is begun again under a claim of its own.
    cost_config = None


class AskInTurn(Call):
    """Asks somebody who wants to be asked by few at a time, and not too often."""

    id = "fault.ask-in-turn"
    rate_limiter = RateLimiter(max_concurrent=3, rate_per_second=20, lease_s=1.5)

    async def execute(self, input_data: CallInput) -> AsyncIterator[tuple[str, Any]]:
        """Wait for a turn, then do as the others do."""
        async with self.rate_limiter:
            async for pair in super().execute(input_data):
                yield pair


class AskFiveASecond(AskInTurn):
    """Asks somebody who wants to be asked five times a second, by however many."""

    id = "fault.ask-five-a-second"
    rate_limiter = RateLimiter(rate_per_second=5, burst=5)


class Grind(Call):
    """Has its effect, and then keeps its process busy."""

    id = "fault.grind"
    placement = Placement.CPU

    async def execute(self, input_data: CallInput) -> AsyncIterator[tuple[str, Any]]:
        """Call and compute without ever letting go of the process."""
        address = urlsplit(os.environ[SINK_URL])
        asked = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
        asked.request("POST", "/", json.dumps(_body(self.id)), {"Idempotency-Key": self.idempotency_key})
        asked.getresponse().read()
        asked.close()
        time.sleep(input_data.seconds)
        yield "output", bounded(input_data.input)


class DieInput(BlockSchema):
    input: Any = None
    how: str


class Die(Block):
    """Ends its process, or tries to."""

    id = "fault.die"
    name = "Die"
    description = "Takes its process with it."
    placement = Placement.CPU
    input_schema, output_schema = DieInput, AnyOutput

    async def execute(self, input_data: DieInput) -> AsyncIterator[tuple[str, Any]]:
        """Do as told; where the process survives that, the block has failed."""
        match input_data.how:
            case "exit":
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                ctypes.string_at(0)
            case "recursion":
                yield "output", _recurse(0)
            case "memory":
                yield "output", len(bytearray(4 << 30))
            case "nothing":
                yield "output", input_data.input


class DieWaiting(Die):
    id = "fault.die-waiting"
    placement = Placement.IO


class LargeInput(BlockSchema):
    input: Any = None
    size: int


class Large(Block):
    """Gives a text as large as it is told."""

    id = "fault.large"
    name = "Large"
    description = "Gives a large text."
    placement = Placement.IO
    input_schema, output_schema = LargeInput, AnyOutput

    async def execute(self, input_data: LargeInput) -> AsyncIterator[tuple[str, Any]]:
        """Give it."""
        yield "output", "x" * input_data.size


class Measure(Block):
    """Says how large something is, without repeating it."""

    class Input(BlockSchema):
        input: Any

    id = "fault.measure"
    name = "Measure"
    description = "Gives the length of its input."
    placement = Placement.INLINE
    input_schema, output_schema = Input, AnyOutput

    async def execute(self, input_data: Measure.Input) -> AsyncIterator[tuple[str, Any]]:
        """Give its length."""
        yield "output", len(input_data.input)


FAULT_BLOCKS: list[type[Block]] = [
    Call,
    CallOnce,
    CallAgain,
    AskInTurn,
    AskFiveASecond,
    Grind,
    Die,
    DieWaiting,
    Large,
    Measure,
]


def _body(block_id: str) -> dict[str, Any]:
    return {"block": block_id, "pid": os.getpid()}


def _recurse(depth: int) -> int:
    return _recurse(depth + 1)
