"""The plan of a stored version: read once per process, as published versions never change."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from blocks import registry
from executions.engine.plan import Plan, plan
from executions.engine.spec import BlockFacts, LinkSpec, NodeSpec
from graphs.models import Link, Node


@lru_cache(maxsize=512)
def plan_of(version_id: UUID) -> Plan:
    """Return the plan of a published version.

    Raises:
        blocks.registry.UnknownBlock: the version uses a block that is not installed here.
    """
    nodes = Node.objects.filter(version_id=version_id).order_by("order")
    links = Link.objects.filter(version_id=version_id).order_by("order").select_related("source", "sink")
    return plan(
        [NodeSpec(node.key, node.block_id, node.inputs, node.on_error, facts_of(node.block_id)) for node in nodes],
        [LinkSpec(link.source.key, link.source_pin, link.sink.key, link.sink_pin, link.is_static) for link in links],
    )


def facts_of(block_id: str) -> BlockFacts:
    """Return what planning needs to know of a block."""
    block = registry.get(block_id)
    return BlockFacts(block.placement, block.block_type, block.effects, frozenset(block.streams), block.gathers)
