"""The verbs of executions: run, follow, logs, list, get, retry."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from agentplatform_client import executions, folder, graphs
from agentplatform_client.cli import codes, drawing, many
from agentplatform_client.cli.naming import find_graph, id_of
from agentplatform_client.cli.printing import Printer, execution_lines
from agentplatform_client.client import FINAL, Client
from agentplatform_client.errors import TimedOut, UsageError
from agentplatform_client.types import ExecutionDetail


def run(client: Client, asked: Namespace, printer: Printer) -> int:
    """Start a graph and follow it to its end."""
    inputs = _inputs(asked)
    named = _graph_in_file(client, asked.graph, printer) or asked.graph
    which = {"version": _versionid_of(client, asked)} if asked.version else {"graph": find_graph(client, named)["id"]}
    start = executions.start(
        **which,
        inputs=inputs,
        priority=asked.priority,
        budget_microcredits=asked.budget,
        idempotency_key=asked.idempotency_key,
    )
    execution = client.do(start)
    return _see_to_the_end(client, execution, asked, printer)


def follow(client: Client, asked: Namespace, printer: Printer) -> int:
    """Show what an execution does until it has ended."""
    client.do(executions.get(id_of(asked.execution)))
    for event in _until(client, asked.execution, asked.timeout, after=asked.after):
        printer.event(event, is_result=True)
    return _code_of(client.do(executions.get(asked.execution)))


def logs(client: Client, asked: Namespace, printer: Printer) -> int:
    """Print what an execution has done so far."""
    after, is_over = asked.after, False
    while not is_over:
        page = client.do(executions.events(id_of(asked.execution), after=after))
        for event in page["events"]:
            printer.event(event, is_result=True)
        is_over = page["is_over"] or not page["events"]
        after = page["last_id"]
    return codes.SUCCEEDED


def show_list(client: Client, asked: Namespace, printer: Printer) -> int:
    """List executions or graphs, newest first."""
    if asked.what == "graphs":
        found = list(islice(client.each(graphs.find(is_archived=False)), asked.limit))
        rows = [(one["name"], one["latest_version"], "draft" if one["has_draft"] else "", one["id"]) for one in found]
        printer.table(found, ("NAME", "VERSION", "", "ID"), rows)
        return codes.SUCCEEDED
    ask = executions.find(**many.filter_of(client, asked), page_size=min(asked.limit, 200))
    found = list(islice(client.each(ask), asked.limit))
    shown = [
        (
            str(one["created_at"])[:19],
            one["status"],
            f"{one['graph_name']} v{one['version_number']}",
            one["cost"]["text"],
            one["id"],
        )
        for one in found
    ]
    printer.table(found, ("CREATED", "STATUS", "GRAPH", "COST", "ID"), shown)
    return codes.SUCCEEDED


def get(client: Client, asked: Namespace, printer: Printer) -> int:
    """Show one execution, and with `--nodes` what its nodes did."""
    execution = client.do(executions.get(id_of(asked.execution)))
    if not asked.nodes:
        printer.result(execution, execution_lines(execution))
        return codes.SUCCEEDED
    found = list(client.each(executions.nodes(asked.execution)))
    rows = [
        (
            one["node"],
            one["item"],
            one["status"],
            one["attempt"],
            one["cost"]["text"],
            (one["error"] or {}).get("code", ""),
        )
        for one in found
    ]
    printer.table({**execution, "nodes": found}, ("NODE", "ITEM", "STATUS", "ATTEMPT", "COST", "ERROR"), rows)
    return codes.SUCCEEDED


def retry(client: Client, asked: Namespace, printer: Printer) -> int:
    """Go on from an execution that has ended, or say what that would do."""
    if not asked.execution:
        if asked.from_node or asked.newest or asked.preview or _inputs(asked):
            raise UsageError(
                "Many are retried from what failed, with the inputs and the version they had: name one for anything else."
            )
        return many.with_all(client, asked, printer, "retry")
    if many.is_filtered(asked):
        raise UsageError("Name an execution, or a filter such as --status.")
    given = _inputs(asked)
    how: dict[str, Any] = {
        "mode": "from_node" if asked.from_node else "inputs" if given else "failed",
        "node": asked.from_node,
        "inputs": given or None,
        "version": "newest" if asked.newest else "same",
    }
    if asked.preview or asked.dry_run:
        preview = client.do(executions.preview_retry(id_of(asked.execution), **how))
        lines = [f"stands: {node} ({count})" for node, count in preview["reused"].items()]
        lines += [
            f"runs:   {one['node']} ({one['firings']})  {one['estimated_cost']['text']}" for one in preview["runs"]
        ]
        printer.result(preview, [*lines, f"estimated cost: {preview['estimated_cost']['text']}"])
        return codes.SUCCEEDED
    return _see_to_the_end(client, client.do(executions.retry(id_of(asked.execution), **how)), asked, printer)


def _see_to_the_end(client: Client, execution: ExecutionDetail, asked: Namespace, printer: Printer) -> int:
    printer.note(f"{execution['graph_name']} v{execution['version_number']}, execution {execution['id']}")
    if asked.detach:
        printer.result(execution, [execution["id"]])
        return codes.SUCCEEDED
    try:
        for event in _until(client, execution["id"], asked.timeout):
            printer.event(event, is_result=False)
    except KeyboardInterrupt:
        printer.note(f"Execution {execution['id']} goes on. `agentplatform cancel {execution['id']}` stops it.")
        raise
    ended = client.do(executions.get(execution["id"]))
    printer.result(ended, execution_lines(ended))
    return _code_of(ended)


def _until(client: Client, execution: str, timeout_s: float | None, *, after: int = 0) -> Iterable[Mapping[str, Any]]:
    """Yield live events until the end.

    Raises:
        TimedOut: that did not come in time.
    """
    if timeout_s is None:
        yield from client.follow(execution, after=after)
        return
    # A stream that is silent can not be left in time: so it is asked for a while at a time.
    ends_at = time.monotonic() + timeout_s
    while True:
        left_s = ends_at - time.monotonic()
        page = client.do(executions.events(execution, after=after, wait_s=max(0, min(30, int(left_s)))))
        yield from page["events"]
        after = page["last_id"]
        if page["is_over"]:
            return
        if left_s < 1 and not page["events"]:
            raise TimedOut(f"Execution {execution} has not ended after {timeout_s:g} s. It goes on.")


def _code_of(execution: Mapping[str, Any]) -> int:
    assert execution["status"] in FINAL
    return codes.SUCCEEDED if execution["status"] == "SUCCEEDED" else codes.FAILED


def _graph_in_file(client: Client, named: str, printer: Printer) -> str | None:
    """Return the name of the graph in a file, which is applied first; None where no file is named."""
    path = Path(named)
    if path.suffix not in folder.SUFFIXES:
        return None
    (document,) = folder.read([path])
    (change,) = folder.compare(client, [document])
    if drawing.tell_problems([change], printer):
        raise UsageError(f"{path} can not be run as it is. Nothing was changed.")
    if change.action != "keep":
        number = folder.carry_out(client, change)
        printer.note(f"{document.name}: version {number} is as {path} says.")
    return document.name


def _versionid_of(client: Client, asked: Namespace) -> str:
    graph = find_graph(client, asked.graph)
    for version in client.each(graphs.versions(graph["id"])):
        if version["number"] == asked.version:
            return str(version["id"])
    raise UsageError(f"{graph['name']} has no version {asked.version}.")


def _inputs(asked: Namespace) -> dict[str, Any]:
    """Return the inputs by name; one given on the command line replaces that of the file."""
    inputs: dict[str, Any] = {}
    if asked.inputs_file:
        try:
            inputs = yaml.safe_load(asked.inputs_file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{asked.inputs_file} can not be read: {error.strerror}.") from error
        except (yaml.YAMLError, ValueError) as error:
            raise UsageError(f"{asked.inputs_file} is neither YAML nor JSON: {error}") from error
        if not isinstance(inputs, dict):
            raise UsageError(f"{asked.inputs_file} must hold inputs by name.")
    inputs |= dict(_split(one, "--input NAME=TEXT") for one in asked.input)
    for name, text in (_split(one, "--input-json NAME=JSON") for one in asked.input_json):
        try:
            inputs[name] = json.loads(text)
        except ValueError as error:
            raise UsageError(f"The input {name!r} is no JSON: {error}") from error
    return inputs


def _split(given: str, form: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign or not name:
        raise UsageError(f"Write {form}, not {given!r}.")
    return name, value
