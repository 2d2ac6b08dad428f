"""Blocks that cost something, with prices of a provider of their own, and what runs them to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, ClassVar

from agentplatform.lib.clock import now
from blocks.sdk import Block, BlockCostConfig, BlockSchema, Placement
from executions.engine.compile import Lane, runnable
from executions.engine.plan import PlanNode
from executions.engine.spec import NodeSpec
from executions.messages import Work
from executions.models import Execution, NodeExecution, TokenPrice
from executions.plans import plan_of
from executions.runner import run_lanes
from tests.blocks import AnyOutput, facts_of
from tests.factories import make_execution, make_published

MICRO = 1_000_000


class AskInput(BlockSchema):
    prompt: str = ""
    model: str = ""
    max_tokens: int | None = None
    uses: dict[str, Any] = {}


class Asks(Block):
    """Reports what it is told to have used; its models are in the price tables or nowhere."""

    id = "prices.asks"
    name = "Ask"
    description = "Uses what it is told to use."
    placement = Placement.IO
    cost_config = BlockCostConfig("token", 0, "probe")
    input_schema, output_schema = AskInput, AnyOutput

    async def execute(self, input_data: AskInput) -> AsyncIterator[tuple[str, Any]]:
        """Report, then answer."""
        self.report_usage(**input_data.uses)
        yield "output", "done"


class AsksAtMost(Asks):
    id = "prices.asks-at-most"
    cost_config = BlockCostConfig("token", 0.00002, "probe")


class AsksTwice(Asks):
    id = "prices.asks-twice"
    cost_config = BlockCostConfig("token", 0, "probe", calls=2)


class Rents(Asks):
    id = "prices.rents"
    cost_config = BlockCostConfig("second", 0.001)
    timeout_s = 30.0


class Runs(Asks):
    id = "prices.runs"
    cost_config = BlockCostConfig("run", 0.5)


class Miscounts(Asks):
    """Reports what no document can say."""

    id = "prices.miscounts"
    uses: ClassVar[dict[str, Any]] = {}

    async def execute(self, input_data: AskInput) -> AsyncIterator[tuple[str, Any]]:
        """Report it."""
        self.report_usage(**self.uses)
        yield "output", "done"


PAID: list[type[Block]] = [Asks, AsksAtMost, AsksTwice, Rents, Runs, Miscounts]


def make_price(model: str, given: int = 2, made: int = 8, cached: int | None = None, **fields: Any) -> TokenPrice:
    """Return a price of the provider `probe` in micro-credits a token, long in force unless told otherwise."""
    return TokenPrice.objects.create(
        **{
            "provider": "probe",
            "model": model,
            "input_microcredits": given * MICRO,
            "output_microcredits": made * MICRO,
            "cached_microcredits": None if cached is None else cached * MICRO,
            "valid_from": now() - timedelta(days=1),
        }
        | fields
    )


def planned(block: type[Block], **constants: Any) -> PlanNode:
    version = make_published([NodeSpec("only", block.id, constants, block=facts_of(block))])
    return plan_of(version.pk).nodes[0]


def ran(block: type[Block], **constants: Any) -> tuple[Execution, NodeExecution]:
    """Run one node to its end in this process."""
    version = make_published([NodeSpec("only", block.id, constants, block=facts_of(block))])
    execution = make_execution(version)
    run_lanes([Work(execution.pk, Lane("default", tuple(runnable(plan_of(version.pk), []))))])
    execution.refresh_from_db()
    return execution, NodeExecution.objects.get(execution=execution)
