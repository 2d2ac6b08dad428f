"""A graph version, planned: nodes in order, what each waits for, and the segments they are cut into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

from blocks.sdk import BlockType, Retry
from executions.engine.items import ERROR_PIN
from executions.engine.segments import Segment, cut
from executions.engine.spec import BlockFacts, LinkSpec, NodeSpec
from graphs.pins import Pin, parse


@dataclass(frozen=True, slots=True)
class Source:
    """Where a link comes from."""

    node: int
    pin: Pin
    is_stream: bool


@dataclass(frozen=True, slots=True)
class Feed:
    """One linked sink pin of a node: its address, and the links into it in order."""

    address: str
    sources: tuple[Source, ...]
    is_static: bool
    is_gathered: bool


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node with what the engine must know to fire it."""

    index: int
    key: str
    block_id: str
    block: BlockFacts
    constants: Mapping[str, Any]
    on_error: str
    feeds: tuple[Feed, ...]
    producers: tuple[int, ...]
    consumers: tuple[int, ...]
    #: A failure goes on along the `error` pin instead of ending the execution.
    handles_errors: bool
    #: Each item can go through by itself, before its siblings are known.
    is_pipelined: bool
    segment: int
    #: Its own, or else its block's; None lets every failure stand.
    retry: Retry | None = None
    #: Its own, or else its block's; None takes the platform's limit.
    timeout_s: float | None = None
    #: By provider, the credential it names; where it names none, its owner's newest is taken.
    credentials: Mapping[str, UUID] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What `compile` and the workers read; the same for every execution of a version."""

    nodes: tuple[PlanNode, ...]
    segments: tuple[Segment, ...]
    #: What its blocks may ask; None: anything that may be asked at all.
    allowed_hosts: tuple[str, ...] | None = None

    @cached_property
    def index_of(self) -> dict[str, int]:
        """Return each node's index by its key."""
        return {node.key: node.index for node in self.nodes}

    @cached_property
    def outputs(self) -> tuple[PlanNode, ...]:
        """Return the output nodes, in order."""
        return tuple(node for node in self.nodes if node.block.block_type is BlockType.OUTPUT)

    @cached_property
    def mark(self) -> str:
        """Return a short fingerprint of how the version is cut: what tells whether segment numbers mean the same."""
        cut_as = [[segment.queue, *(self.nodes[node].key for node in segment.nodes)] for segment in self.segments]
        return hashlib.sha256(json.dumps(cut_as).encode()).hexdigest()[:16]

    def downstream(self, node: int) -> frozenset[int]:
        """Return the node and all that can hear of it."""
        found, todo = {node}, [node]
        while todo:
            for consumer in self.nodes[todo.pop()].consumers:
                if consumer not in found:
                    found.add(consumer)
                    todo.append(consumer)
        return frozenset(found)


def plan(nodes: Sequence[NodeSpec], links: Sequence[LinkSpec]) -> Plan:
    """Plan a valid version.

    Raises:
        graphlib.CycleError: the links form a circle; validation refuses such a graph at the door.
    """
    order = _ordered(nodes, links)
    index_of = {node.key: index for index, node in enumerate(order)}
    feeds = [_feeds(node, links, index_of, order) for node in order]
    producers = [sorted({source.node for feed in node_feeds for source in feed.sources}) for node_feeds in feeds]
    consumers: list[list[int]] = [[] for _ in order]
    for index, its_producers in enumerate(producers):
        for producer in its_producers:
            consumers[producer].append(index)
    segments = cut([node.block.placement for node in order], producers, consumers)
    segment_of = {node: segment.index for segment in segments for node in segment.nodes}
    handled = {link.source for link in links if parse(link.source_pin).name == ERROR_PIN}
    return Plan(
        nodes=tuple(
            PlanNode(
                index=index,
                key=node.key,
                block_id=node.block_id,
                block=node.block,
                constants=node.constants,
                on_error=node.on_error,
                feeds=feeds[index],
                producers=tuple(producers[index]),
                consumers=tuple(consumers[index]),
                handles_errors=node.key in handled,
                is_pipelined=_is_pipelined(feeds[index]),
                segment=segment_of[index],
                retry=node.retry,
                timeout_s=node.timeout_s,
                credentials=node.credentials,
            )
            for index, node in enumerate(order)
        ),
        segments=tuple(segments),
    )


def _ordered(nodes: Sequence[NodeSpec], links: Sequence[LinkSpec]) -> list[NodeSpec]:
    """Order topologically; among equals the order of the document decides, so that a plan is the same everywhere."""
    by_key = {node.key: node for node in nodes}
    sorter = TopologicalSorter({node.key: set[str]() for node in nodes})
    for link in links:
        sorter.add(link.sink, link.source)
    rank = {node.key: position for position, node in enumerate(nodes)}
    sorter.prepare()
    order: list[NodeSpec] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=rank.__getitem__)
        order.extend(by_key[key] for key in ready)
        sorter.done(*ready)
    return order


def _feeds(
    node: NodeSpec, links: Sequence[LinkSpec], index_of: Mapping[str, int], order: Sequence[NodeSpec]
) -> tuple[Feed, ...]:
    by_address: dict[str, list[LinkSpec]] = {}
    for link in links:
        if link.sink == node.key:
            by_address.setdefault(link.sink_pin, []).append(link)
    return tuple(
        Feed(
            address=address,
            sources=tuple(_source(link, index_of, order) for link in into),
            is_static=into[0].is_static,
            is_gathered=node.block.gathers == parse(address).name,
        )
        for address, into in by_address.items()
    )


def _source(link: LinkSpec, index_of: Mapping[str, int], order: Sequence[NodeSpec]) -> Source:
    pin = parse(link.source_pin)
    node = index_of[link.source]
    return Source(node=node, pin=pin, is_stream=pin.name in order[node].block.streams)


def _is_pipelined(feeds: tuple[Feed, ...]) -> bool:
    """Say whether every item that arrives is a firing of its own: one pin, one link, nothing to wait for."""
    return len(feeds) == 1 and len(feeds[0].sources) == 1 and not feeds[0].is_static and not feeds[0].is_gathered
