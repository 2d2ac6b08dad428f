"""The test blocks as a history wants them: those that wait are held at a gate until it lets them go on, fail or wait for somebody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from blocks import registry
from blocks.errors import InputInvalid, OutputInvalid
from blocks.sdk import Block, BlockError, Effects, Placement, Retry
from blocks.sdk.waiting import WaitFor
from executions.engine.spec import NodeSpec
from executions.engine.waits import WaitKind
from tests.blocks import BY_ID, TEST_BLOCKS, Probe
from tests.durable.clock import VirtualLoop

FLAKY = "FLAKY"
#: More attempts than failures and crashes can use up.
MOST_ATTEMPTS = 9
#: One repeats at once, one sleeps under the lease, one leaves a row that falls due.
RETRIES = tuple(Retry(MOST_ATTEMPTS, delay_s=delay_s, jitter=0.0, on=(FLAKY,)) for delay_s in (0.0, 2.0, 60.0))


class Way(StrEnum):
    """How a firing that is held goes on."""

    END = "END"
    FAIL = "FAIL"
    WAIT = "WAIT"


class Host(Protocol):
    """Whoever runs a history."""

    def running(
        self, context: Any, loop: VirtualLoop
    ) -> AbstractContextManager[tuple[asyncio.Future[Way], list[WaitKind]]]:
        """Note that a block begins, and how it ends; give its gate, and the waits that it went through in earlier attempts."""
        ...

    def is_to_fail(self, context: Any) -> bool:
        """Say whether a block that only computes fails this time."""
        ...


@dataclass
class Current:
    """Where blocks find the history that they are part of."""

    host: Host | None = None


CURRENT = Current()


class Held(Probe):
    """A test block that waits: it is held before it yields anything."""

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Go through the waits of earlier attempts, then wait at the gate, then do as the probe does."""
        host, loop = CURRENT.host, asyncio.get_running_loop()
        assert host is not None
        assert isinstance(loop, VirtualLoop)
        with host.running(self.context, loop) as (gate, waits):
            for number, kind in enumerate(waits):
                await self.context.wait(_wait_for(number, kind))
            way = await gate
            if way is Way.WAIT:
                await self.context.wait(_wait_for(len(waits) - 1, waits[-1]))
            if way is Way.FAIL:
                raise BlockError("Not now.", code=FLAKY)
            for pin, value in self.pairs(input_data):
                yield pin, value


def _wait_for(number: int, kind: WaitKind) -> WaitFor:
    return WaitFor(kind, f"wait-{number}", due_in_s=100.0 if kind is WaitKind.TIMER else None)


class Shaky(Probe):
    """A test block that only computes, and may fail before it does."""

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Do as the probe does, or fail."""
        assert CURRENT.host is not None
        if CURRENT.host.is_to_fail(self.context):
            raise BlockError("Not now.", code=FLAKY)
        for pin, value in self.pairs(input_data):
            yield pin, value


def _id_of(block_id: str) -> str:
    return block_id.replace("test.", "history.")


def _made(block: type[Block]) -> type[Block]:
    execute = Shaky.execute if block.placement is Placement.INLINE else Held.execute
    members: dict[str, Any] = {"id": _id_of(block.id), "__module__": __name__, "execute": execute}
    return type(f"History{block.__name__}", (block,), members)


HISTORY_BLOCKS: list[type[Block]] = [_made(block) for block in TEST_BLOCKS]


@dataclass(frozen=True, slots=True)
class Manner:
    """What a node is made to be, beside what its block is."""

    effects: Effects = Effects.NONE
    retry: Retry | None = None


def as_in_history(nodes: Sequence[NodeSpec], manners: Sequence[Manner]) -> list[NodeSpec]:
    """Return the nodes of a graph with the blocks of a history; what only computes has no effects."""
    return [
        replace(
            node,
            block_id=_id_of(node.block_id),
            block=node.block
            if node.block.placement is Placement.INLINE
            else replace(node.block, effects=manners[number % len(manners)].effects),
            retry=manners[number % len(manners)].retry,
            # Time that passes here shall end nothing.
            timeout_s=1e9,
        )
        for number, node in enumerate(nodes)
    ]


def run_as_platform(spec: NodeSpec, values: dict[str, Any]) -> list[tuple[str, Any]]:
    """Run the test block of a node for the reference interpreter, and fail in the words of the platform.

    Raises:
        BlockError: the block failed, or was given or gave what its schemas do not allow.
    """
    block = BY_ID[spec.block_id]
    assert issubclass(block, Probe)
    try:
        pairs = list(block().pairs(registry.validate_input(block, values)))
        return [(pin, value if pin == "error" else registry.validate_output(block, pin, value)) for pin, value in pairs]
    except (InputInvalid, OutputInvalid) as error:
        raise BlockError(error.message, code=error.code, hint=error.hint or "") from error
