"""The verbs of schedules: when graphs are started by the clock, and what became of each time."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from agentplatform_client import schedules
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import find_graph
from agentplatform_client.cli.nouns import Columns, Noun, as_json, field, lines_of, moment
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client

COLUMNS: Columns = {
    "NAME": field("name"),
    "STATE": lambda one: (one["pause_reason"] or "paused") if one["is_paused"] else "on",
    "WHEN": lambda one: _when(one),
    "ZONE": field("timezone"),
    "NEXT": moment("next_fire_at_local"),
    "GRAPH": field("graph_name"),
    "ID": field("id"),
}
FIRES: Columns = {
    "TIME": moment("fire_at_local"),
    "STATUS": field("status"),
    "REASON": field("reason"),
    "EXECUTION": field("execution"),
}
FIELDS = ["id", "name", "graph_name", "kind", "cron", "every_s", "at", "timezone", "inputs", "overlap", "catch_up"]
FIRED = lines_of(["id", "fire_at_local", "status", "reason", "message", "execution"])


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    noun.add_list("list", "List them, newest first.", schedules.find, COLUMNS)
    noun.add_act("get", "Show one, with its next times.", schedules.get, shown)
    made = noun.add("create", "Start a graph by the clock.", _create)
    made.add_argument("graph", metavar="GRAPH", help="an id or a name")
    made.add_argument("--name", required=True, metavar="NAME")
    when = made.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="CRON", help="five fields, such as '0 9 * * mon-fri'")
    when.add_argument("--every", type=int, metavar="S", help="so many seconds apart")
    when.add_argument("--once", metavar="TIME", help="once; without an offset it is a time of the zone")
    made.add_argument("--timezone", metavar="ZONE", help="such as Europe/Berlin (default: UTC)")
    made.add_argument("--inputs-json", type=as_json, metavar="JSON", help="inputs of each execution, by name")
    made.add_argument(
        "--overlap", choices=["allow", "skip", "queue", "cancel"], help="while an earlier one goes on (default: allow)"
    )
    made.add_argument(
        "--catch-up", choices=["skip", "once", "all"], help="what becomes of times that were missed (default: once)"
    )
    noun.add_act("pause", "Start nothing by one until it is resumed.", schedules.pause, shown)
    noun.add_act("resume", "Go on with the next time of one.", schedules.resume, shown)
    noun.add_act("fire", "Start the graph of one now.", schedules.fire, FIRED)
    noun.add_act("delete", "Remove one; its executions stay.", schedules.delete)
    noun.add_list_of("fires", "List what became of its times, newest first.", schedules.fires, FIRES)


def shown(one: Mapping[str, Any]) -> list[str]:
    """Return a schedule as a person reads it."""
    state = (one["pause_reason"] or "paused") if one["is_paused"] else "on"
    told = lines_of(["state", *(name for name in FIELDS if one[name] not in (None, "", {}))])({**one, "state": state})
    return [*told, *(f"next: {at['local']} ({at['utc']})" for at in one["next_fires"])]


def _create(client: Client, asked: Namespace, printer: Printer) -> int:
    made = client.do(
        schedules.create(
            graph=find_graph(client, asked.graph)["id"],
            name=asked.name,
            kind="cron" if asked.cron else "interval" if asked.every is not None else "once",
            cron=asked.cron,
            every_s=asked.every,
            at_time=asked.once,
            timezone=asked.timezone,
            inputs=asked.inputs_json,
            overlap=asked.overlap,
            catch_up=asked.catch_up,
        )
    )
    printer.result(made, shown(made))
    return codes.SUCCEEDED


def _when(one: Mapping[str, Any]) -> str:
    if one["kind"] == "cron":
        return str(one["cron"])
    return f"every {one['every_s']} s" if one["kind"] == "interval" else "once"
