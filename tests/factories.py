"""The smallest valid rows that a test needs, built as the product builds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import connection

from access import keyring
from access.scopes import Scope
from agentplatform.lib.clock import now
from blocks import registry
from executions import leases
from executions.batch import Batch, Ended
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import FINAL, NodeStatus, Status
from executions.leases import Claim, Wanted
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from graphs import services
from graphs.documents import GraphModel, LinkModel, NodeModel
from graphs.models import GraphVersion, Node
from tests.blocks import TEST_BLOCKS, node

_numbers = count(1)


def make_user(username: str = "") -> AbstractUser:
    """Return a new user, whose name is new too unless one is given."""
    user: AbstractUser = get_user_model()._default_manager.create(username=username or f"user-{next(_numbers)}")
    return user


def make_key(owner: AbstractUser, *scopes: Scope, **fields: Any) -> str:
    """Return a new API key of a user, as its text; it opens everything unless scopes are named."""
    return keyring.issue(owner_id=owner.pk, name="test", scopes=scopes or list(Scope), **fields)[1]


def make_published(
    nodes: Sequence[NodeSpec], links: Sequence[LinkSpec] = (), owner: AbstractUser | None = None
) -> GraphVersion:
    """Return the published version of a new graph of test blocks."""
    registry.register(*TEST_BLOCKS)
    graph = services.create(owner_id=(owner or make_user()).pk, document=document_of(nodes, links))
    return services.publish(graph)


def document_of(nodes: Sequence[NodeSpec], links: Sequence[LinkSpec] = ()) -> GraphModel:
    """Return a drawn graph as the document that a user would save."""
    return GraphModel(
        name=f"graph-{next(_numbers)}",
        nodes=[
            NodeModel.model_validate(
                {
                    "id": node.key,
                    "block_id": node.block_id,
                    "inputs": node.constants,
                    "on_error": node.on_error,
                    "retry": {**asdict(node.retry), "on": list(node.retry.on)} if node.retry else None,
                    "timeout_s": node.timeout_s,
                    "credentials": dict(node.credentials),
                }
            )
            for node in nodes
        ],
        links=[
            LinkModel(
                source_id=link.source,
                source_name=link.source_pin,
                sink_id=link.sink,
                sink_name=link.sink_pin,
                is_static=link.is_static,
            )
            for link in links
        ],
    )


def make_execution(version: GraphVersion | None = None, **fields: Any) -> Execution:
    """Return the row of an execution that nobody was told of; by default of one node that only computes."""
    version = version or make_published([node("only", "test.source")])
    if fields.get("status") in FINAL:
        fields.setdefault("ended_at", now())
    owner = fields.pop("owner_id", version.graph.owner_id)
    return Execution.objects.create(graph_id=version.graph_id, version=version, owner_id=owner, **fields)


def make_node_execution(execution: Execution, node_key: str = "only", **fields: Any) -> NodeExecution:
    """Return the row of one firing; one that runs has a lease."""
    status = fields.setdefault("status", NodeStatus.SUCCEEDED)
    if status not in (NodeStatus.PENDING, NodeStatus.RUNNING, NodeStatus.WAITING):
        fields.setdefault("ended_at", now())
    if status == NodeStatus.RUNNING:
        fields.setdefault("lease_expires_at", now() + leases.lease())
    return NodeExecution.objects.create(execution=execution, node_key=node_key, **fields)


def make_claim(execution: Execution, node_key: str = "only", path: Path = (), *, worker: str = "w1") -> Claim:
    """Claim a firing as a worker does.

    Raises:
        ValueError: somebody else holds it, or there is nothing to claim any more.
    """
    (claim,) = claim_all(execution, [Wanted(node_key, path, {})], worker=worker)
    return claim


def claim_all(execution: Execution, wanted: Sequence[Wanted], *, worker: str = "w1") -> list[Claim]:
    """Claim firings of one execution; return what was granted."""
    return leases.claim({execution.pk: wanted}, worker=worker)[execution.pk]


def make_ended(plan: Plan, claim: Claim, status: NodeStatus = NodeStatus.SUCCEEDED, **fields: Any) -> Ended:
    """Return how a claimed firing ended, as a worker reports it."""
    outputs: Mapping[str, list[Any]] = fields.pop("outputs", {"output": ["source"]})
    moment = now()
    given: dict[str, Any] = {
        "node": plan.index_of[claim.node_key],
        "node_key": claim.node_key,
        "path": claim.path,
        "outcome": Outcome(status, outputs if status is NodeStatus.SUCCEEDED else {}),
        "claim": claim,
        "inputs": {},
        "error": {},
        "usage": {},
        "cost_microcredits": 0,
        "queued_at": moment,
        "started_at": moment,
        "ended_at": moment,
    }
    return Ended(**given | fields)


def make_batch(execution: Execution, ended: Sequence[Ended] = (), **fields: Any) -> Batch:
    """Return what one transaction writes for an execution."""
    return Batch(execution.pk, plan_of(execution.version_id), "w1", ended=list(ended), **fields)


def rows_of(execution_id: UUID) -> dict[tuple[str, Path], NodeExecution]:
    """Return the node executions by node and path; that each exists once is the database's promise."""
    rows = NodeExecution.objects.filter(execution_id=execution_id)
    return {(row.node_key, tuple(row.item_path)): row for row in rows}


def status_of(execution: Execution) -> Status:
    """Return the status that is stored now."""
    return Status(Execution.objects.values_list("status", flat=True).get(pk=execution.pk))


def remove_block(version_id: UUID) -> None:
    """Let a published version name a block that is not installed: what an operator does who removes one."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Node.objects.filter(version_id=version_id).update(block_id="test.was-removed")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    plan_of.cache_clear()
