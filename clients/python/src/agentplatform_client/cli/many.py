"""The verbs that act on executions, named one by one or found by a filter: cancel, pause, resume; and retry of many."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

from agentplatform_client import executions
from agentplatform_client.calls import Call
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import find_graph, id_of
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError
from agentplatform_client.types import ExecutionDetail

What = Literal["cancel", "pause", "resume", "retry"]
Single = Callable[[str | UUID], Call[ExecutionDetail]]


def cancel(client: Client, asked: Namespace, printer: Printer) -> int:
    """Stop executions and all that they have started."""
    return _act(client, asked, printer, "cancel", executions.cancel)


def pause(client: Client, asked: Namespace, printer: Printer) -> int:
    """Begin nothing more of executions; what runs goes on to its end."""
    return _act(client, asked, printer, "pause", executions.pause)


def resume(client: Client, asked: Namespace, printer: Printer) -> int:
    """Go on with executions that were paused."""
    return _act(client, asked, printer, "resume", executions.resume)


def with_all(client: Client, asked: Namespace, printer: Printer, what: What) -> int:
    """Do it with all that match; with `--dry-run`, only say how many they are."""
    if not is_filtered(asked):
        raise UsageError("Name executions, or a filter such as --status.")
    told = client.do(executions.with_all(what, **filter_of(client, asked), preview=asked.dry_run, limit=asked.limit))
    lines = [_line(one) for one in told["results"]]
    left = told["matching"] - len(told["results"])
    if asked.dry_run:
        lines = [f"{told['matching']} match."]
    elif left:
        printer.note(f"{left} more match: ask again, or for more with --limit.")
    printer.result(told, lines)
    return codes.FAILED if told["failed"] else codes.SUCCEEDED


def filter_of(client: Client, asked: Namespace) -> dict[str, Any]:
    """Return what executions are found by."""
    return {
        "status": asked.status or None,
        "graph": find_graph(client, asked.graph)["id"] if asked.graph else None,
        "created_after": asked.created_after,
        "created_before": asked.created_before,
    }


def is_filtered(asked: Namespace) -> bool:
    """Say whether some are to be found, by anything."""
    return any((asked.status, asked.graph, asked.created_after, asked.created_before))


def _act(client: Client, asked: Namespace, printer: Printer, what: What, single: Single) -> int:
    if not asked.executions:
        return with_all(client, asked, printer, what)
    if is_filtered(asked):
        raise UsageError("Name executions, or a filter such as --status: not both.")
    ids = [id_of(one) for one in asked.executions]
    done = [client.do(executions.get(one) if asked.dry_run else single(one)) for one in ids]
    printer.result(done, [f"{one['id']}  {one['status']}" for one in done])
    return codes.SUCCEEDED


def _line(one: Any) -> str:
    if one["error"]:
        return f"{one['execution']}  {one['error']['code']}: {one['error']['message']}"
    started = f"  goes on as {one['started']}" if one["started"] else ""
    return f"{one['execution']}  {one['status']}{started}"
