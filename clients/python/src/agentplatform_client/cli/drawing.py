"""The verbs of graphs: export, import, apply, diff."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, Literal

from agentplatform_client import folder, graphs
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import find_graph
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client
from agentplatform_client.folder import Change

DONE = {"create": "created", "update": "updated", "publish": "published", "keep": "unchanged", "archive": "put away"}
WOULD = {action: f"would be {done}" for action, done in DONE.items()} | {"keep": "unchanged"}


def export(client: Client, asked: Namespace, printer: Printer) -> int:
    """Write the document of a graph to a file, or print it."""
    graph = find_graph(client, asked.graph)
    syntax: Literal["yaml", "json"] = asked.format or (
        "json" if asked.output and asked.output.suffix == ".json" else "yaml"
    )
    text = client.do(graphs.export(graph["id"], syntax=syntax, version=asked.version))
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")
        printer.note(f"Wrote {asked.output}.")
    else:
        printer.out.write(text)
    return codes.SUCCEEDED


def bring_in(client: Client, asked: Namespace, printer: Printer) -> int:
    """Make a new graph of each document."""
    made = []
    for document in folder.read(asked.files):
        graph = client.do(graphs.create(document.data))
        number = client.do(graphs.publish(graph["id"]))["number"] if asked.publish else None
        made.append({"id": graph["id"], "name": graph["name"], "version": number})
    printer.result(made, [f"{one['id']}  {one['name']}" for one in made])
    return codes.SUCCEEDED


def apply(client: Client, asked: Namespace, printer: Printer) -> int:
    """Make the platform's graphs as the documents say, and publish what changed."""
    changes = list(folder.compare(client, folder.read(asked.paths), prunes=asked.prune))
    is_sound = not tell_problems(changes, printer)
    done = []
    # All or nothing is done of what can be known before.
    if is_sound:
        for change in changes:
            number = None if asked.dry_run else folder.carry_out(client, change)
            done.append({"graph": change.name, "action": change.action, "version": number})
    words = WOULD if asked.dry_run else DONE
    lines = [
        f"{one['graph']}: {words[str(one['action'])]}" + (f" (version {one['version']})" if one["version"] else "")
        for one in done
    ]
    printer.result({"is_dry_run": asked.dry_run, "changes": done}, lines)
    return codes.SUCCEEDED if is_sound else codes.USAGE


def diff(client: Client, asked: Namespace, printer: Printer) -> int:
    """Show how the documents differ from what the platform has."""
    changes = list(folder.compare(client, folder.read(asked.paths), prunes=asked.prune))
    is_sound = not tell_problems(changes, printer)
    differing = [change for change in changes if change.action in ("create", "update", "archive")]
    data = [{"graph": change.name, "action": change.action, "diff": change.as_diff()} for change in differing]
    printer.result(data, [line for one in data for line in one["diff"]])
    return codes.USAGE if not is_sound else codes.FAILED if differing else codes.SUCCEEDED


def tell_problems(changes: list[Change], printer: Printer) -> bool:
    """Say what keeps documents from being published. Return whether anything does."""
    told: list[Any] = [(change, problem) for change in changes for problem in change.problems]
    for change, problem in told:
        where = change.document.path if change.document else change.name
        printer.note(f"{where}: {problem['message']} ({problem['code']}, {problem['path']}) {problem['hint']}".rstrip())
    return bool(told)
