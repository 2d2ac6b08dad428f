"""The plan of a stored version: read once per process, as published versions never change."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from uuid import UUID

from blocks import registry
from blocks.facts import BlockFacts
from executions.engine.plan import Plan, plan
from executions.engine.spec import LinkSpec, NodeSpec
from graphs.documents import RetryModel
from graphs.models import GraphVersion, Link, Node


@lru_cache(maxsize=512)
def plan_of(version_id: UUID) -> Plan:
    """Return the plan of a published version.

    Raises:
        blocks.registry.UnknownBlock: the version uses a block that is not installed here.
        ValueError: a later release published it, with something that this one does not know.
    """
    nodes = Node.objects.filter(version_id=version_id).order_by("order")
    links = Link.objects.filter(version_id=version_id).order_by("order").select_related("source", "sink")
    hosts = allowed_hosts_of(version_id)
    planned = plan(
        [_spec_of(node) for node in nodes],
        [LinkSpec(link.source.key, link.source_pin, link.sink.key, link.sink_pin, link.is_static) for link in links],
    )
    return planned if hosts is None else replace(planned, allowed_hosts=hosts)


@lru_cache(maxsize=512)
def allowed_hosts_of(version_id: UUID) -> tuple[str, ...] | None:
    """Return what the blocks of a published version may ask; None: anything that may be asked at all."""
    hosts = GraphVersion.objects.values_list("allowed_hosts", flat=True).filter(pk=version_id).first()
    return None if hosts is None else tuple(hosts)


def facts_of(block_id: str) -> BlockFacts:
    """Return what planning needs to know of a block.

    Raises:
        blocks.registry.UnknownBlock: there is no such block.
    """
    return BlockFacts.of(registry.get(block_id))


def _spec_of(node: Node) -> NodeSpec:
    block = registry.get(node.block_id)
    return NodeSpec(
        key=node.key,
        block_id=node.block_id,
        constants=node.inputs,
        on_error=node.on_error,
        # What was published before facts were kept is planned by those of today.
        block=BlockFacts.of(block) if node.facts is None else BlockFacts.from_data(node.facts),
        retry=block.retry if node.retry is None else RetryModel.model_validate(node.retry).as_retry(),
        timeout_s=block.timeout_s if node.timeout_s is None else node.timeout_s,
        credentials={provider: UUID(id_) for provider, id_ in node.credentials.items()},
    )
