"""What can be asked of executions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import (
    BulkDone,
    Execution,
    ExecutionDetail,
    LivePage,
    NodeExecution,
    PaginatedExecutionList,
    PaginatedNodeExecutionList,
    RetryPreview,
)

Id = str | UUID
Mode = Literal["failed", "from_node", "inputs"]


def start(
    *,
    graph: Id | None = None,
    version: Id | None = None,
    inputs: Mapping[str, Any] | None = None,
    priority: int | None = None,
    budget_microcredits: int | None = None,
    idempotency_key: str | None = None,
) -> Call[ExecutionDetail]:
    """Start the latest version of a graph, or one version. Sent again, this very call starts nothing more."""
    body = given(
        graph=graph and str(graph),
        version=version and str(version),
        inputs=None if inputs is None else dict(inputs),
        priority=priority,
        budget_microcredits=budget_microcredits,
    )
    return Call("POST", at("executions"), json=body, headers={"Idempotency-Key": idempotency_key or str(uuid4())})


def get(execution: Id) -> Call[ExecutionDetail]:
    """Look at one execution, with what went in and what came out."""
    return Call("GET", at("executions", execution))


def find(
    *,
    status: str | Sequence[str] | None = None,
    graph: Id | None = None,
    version: Id | None = None,
    file: Id | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    page_size: int | None = None,
) -> Call[PaginatedExecutionList]:
    """Find executions, newest first; `Client.each` goes through all pages. Of a `file`: those that use it."""
    params = _filter(
        status=status, graph=graph, version=version, created_after=created_after, created_before=created_before
    )
    return Call("GET", at("executions"), params=params | given(file=file and str(file), page_size=page_size))


def with_all(
    what: Literal["cancel", "pause", "resume", "retry"],
    *,
    status: str | Sequence[str] | None = None,
    graph: Id | None = None,
    version: Id | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    preview: bool = False,
    limit: int | None = None,
    idempotency_key: str | None = None,
) -> Call[BulkDone]:
    """Cancel, pause, resume or retry all that `find` finds with the same filter; a preview only counts them."""
    params = _filter(
        status=status, graph=graph, version=version, created_after=created_after, created_before=created_before
    )
    headers = {"Idempotency-Key": idempotency_key or str(uuid4())} if what == "retry" else {}
    body = given(preview=preview, limit=limit)
    return Call("POST", at("executions", "bulk", what), params=params, json=body, headers=headers)


def nodes(
    execution: Id, *, node: str | None = None, status: str | Sequence[str] | None = None
) -> Call[PaginatedNodeExecutionList]:
    """Look at what the nodes of an execution did, in the order in which they began."""
    return Call("GET", at("executions", execution, "nodes"), params=given(node=node, status=status))


def cancel(execution: Id) -> Call[ExecutionDetail]:
    """Stop an execution and all it has started. One that has ended stays as it is."""
    return Call("POST", at("executions", execution, "cancel"))


def pause(execution: Id) -> Call[ExecutionDetail]:
    """Begin nothing more of an execution; what runs goes on to its end."""
    return Call("POST", at("executions", execution, "pause"))


def resume(execution: Id) -> Call[ExecutionDetail]:
    """Go on with what was paused."""
    return Call("POST", at("executions", execution, "resume"))


def retry(
    execution: Id,
    *,
    mode: Mode = "failed",
    node: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    version: Literal["same", "newest"] = "same",
) -> Call[ExecutionDetail]:
    """Go on from an execution that has ended, as a new one: what stands of it is neither run nor paid again."""
    return Call("POST", at("executions", execution, "retry"), json=_retry(mode, node, inputs, version))


def preview_retry(
    execution: Id,
    *,
    mode: Mode = "failed",
    node: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    version: Literal["same", "newest"] = "same",
) -> Call[RetryPreview]:
    """Say what such a retry would reuse, run, act on and cost. Starts nothing."""
    return Call("POST", at("executions", execution, "retry", "preview"), json=_retry(mode, node, inputs, version))


def events(execution: Id, *, after: int = 0, wait_s: int = 0) -> Call[LivePage]:
    """Read the live events after a number, waiting so long for one where there is none; `Client.follow` streams them."""
    return Call("GET", at("executions", execution, "events"), params={"after": after, "wait": wait_s})


def _filter(
    *,
    status: str | Sequence[str] | None,
    graph: Id | None,
    version: Id | None,
    created_after: datetime | None,
    created_before: datetime | None,
) -> dict[str, Any]:
    return given(
        status=status,
        graph=graph and str(graph),
        version=version and str(version),
        created_after=created_after and created_after.isoformat(),
        created_before=created_before and created_before.isoformat(),
    )


def _retry(mode: str, node: str | None, inputs: Mapping[str, Any] | None, version: str) -> dict[str, Any]:
    return given(mode=mode, node=node, inputs=None if inputs is None else dict(inputs), version=version)


__all__ = [
    "Execution",
    "NodeExecution",
    "cancel",
    "events",
    "find",
    "get",
    "nodes",
    "pause",
    "preview_retry",
    "resume",
    "retry",
    "start",
    "with_all",
]
