"""Try a block: by its own examples, in memory; or with somebody's inputs, as an execution of a graph of this one block.

So a trial is held back, paid, masked, limited and written down like any other execution, and there is no second way of running a block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from agentplatform.lib import egress
from agentplatform.lib.errors import AppError
from blocks import registry
from blocks.sdk import Block, Effects, Example
from blocks.sdk.testing import MemoryContext, is_as_said, run_block
from blocks.sdk.waiting import Suspended
from executions import services
from executions.errors import BlockHasEffects
from executions.models import Execution
from graphs import services as graph_services
from graphs.documents import GraphModel, LinkModel, NodeModel
from graphs.errors import GraphInvalid
from graphs.models import Graph, GraphVersion

NODE = "tested"
#: What a trial may cost unless something else is asked for: ten cents.
USUAL_BUDGET_MICROCREDITS = 100_000
EXAMPLE_WITHIN_S = 10.0
#: The namespace of the graphs that trials run.
_TRIALS = UUID("5a4d9a0e-3f4e-5c0b-9d55-0f8f2f8b6a10")


@dataclass(frozen=True, slots=True)
class Tried:
    """What one of a block's own examples gave; `is_passed` is None where it needs the outside world, and was left out."""

    example: Example
    yielded: tuple[tuple[str, Any], ...] = ()
    is_passed: bool | None = None
    error: AppError | None = None


def by_examples(block_id: str) -> list[Tried]:
    """Run a block's own examples in memory, where nothing can be asked outside and nothing is stored.

    Raises:
        UnknownBlock: there is none.
        BlockDisabled: it must not run.
    """
    block = registry.runnable(block_id)
    return [_tried(block, example) for example in block.examples]


def start(
    *,
    owner_id: int,
    block_id: str,
    inputs: Mapping[str, Any],
    credentials: Mapping[str, UUID],
    has_effects: bool = False,
    budget_microcredits: int = USUAL_BUDGET_MICROCREDITS,
    api_key: str = "",
) -> Execution:
    """Start a block once with these inputs: an execution whose node `tested` is it.

    Raises:
        UnknownBlock, BlockDisabled: as above.
        InputInvalid: the inputs do not fit it.
        BlockHasEffects: it acts on the outside world, and that was not asked for.
        GraphInvalid: it can not be run by itself; a credential is not there, or somebody else's.
        CredentialsMissing, BudgetExceeded, OwnerInactive, AmountInvalid: as for any execution.
    """
    block = registry.runnable(block_id)
    if block.effects is not Effects.NONE and not has_effects:
        raise BlockHasEffects(f"{block.name} acts on the outside world.")
    registry.validate_input(block, inputs)
    version = _version_of(owner_id, _document(block, sorted(inputs), credentials))
    return services.start(
        version_id=version.pk,
        owner_id=owner_id,
        inputs=inputs,
        budget_microcredits=budget_microcredits,
        api_key=api_key,
    )


def _document(block: type[Block], pins: list[str], credentials: Mapping[str, UUID]) -> GraphModel:
    """Return the graph of a trial: its inputs are those that are given, so the same question asks the same graph."""
    given = [
        NodeModel(id=f"given-{number}", block_id="input-block", inputs={"name": pin}) for number, pin in enumerate(pins)
    ]
    tested = NodeModel(id=NODE, block_id=block.id, credentials=dict(credentials))
    links = [
        LinkModel(source_id=node.id, source_name="output", sink_id=NODE, sink_name=pin)
        for node, pin in zip(given, pins, strict=True)
    ]
    about = "Made to try this block; what came of it is in its executions."
    return GraphModel(name=f"Test of {block.name}", description=about, nodes=[*given, tested], links=links)


def _version_of(owner_id: int, document: GraphModel) -> GraphVersion:
    """Return the published version of a trial's graph, which is made the first time and put away from the beginning."""
    graph_id = uuid5(_TRIALS, f"{owner_id} {document.checksum()}")
    graph = Graph.objects.filter(pk=graph_id, owner_id=owner_id).first()
    if graph and (version := graph.versions.published().first()):
        return version
    if problems := graph_services.problems_of(document, owner_id=owner_id):
        raise GraphInvalid(problems)
    about = {"name": document.name, "owner_id": owner_id, "is_archived": True}
    graph, _ = Graph.objects.get_or_create(pk=graph_id, defaults=about)
    return graph_services.publish(graph_services.save_draft(graph, document))


def _tried(block: type[Block], example: Example) -> Tried:
    if example.answers or block.credentials_required or block.effects is not Effects.NONE:
        return Tried(example)
    try:
        yielded = tuple(asyncio.run(_run(block, example)))
    except (AppError, Suspended, TimeoutError) as error:
        known = error if isinstance(error, AppError) else AppError(f"{type(error).__name__}: {error}")
        return Tried(example, is_passed=False, error=known)
    return Tried(example, yielded, is_as_said(yielded, example))


async def _run(block: type[Block], example: Example) -> list[tuple[str, Any]]:
    context = MemoryContext(answers=dict(_answers(example)), sub_graphs=example.sub_graphs, files=example.files)
    async with asyncio.timeout(EXAMPLE_WITHIN_S):
        with egress.only([[]]):
            return await run_block(block, example.given, context=context)


def _answers(example: Example) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, came in enumerate(example.waits):
        yield f"wait-{number}", came
