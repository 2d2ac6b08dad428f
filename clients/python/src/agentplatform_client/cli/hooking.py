"""The verbs of webhooks: addresses that others send to, and what came there."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from agentplatform_client import webhooks
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import find_graph, id_of
from agentplatform_client.cli.nouns import Columns, Noun, field, lines_of, moment, pairs
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError

COLUMNS: Columns = {
    "NAME": field("name"),
    "STATE": lambda one: "on" if one["is_enabled"] else "off",
    "SCHEME": field("scheme"),
    "EVENTS": lambda one: " ".join(one["events"]) or "all",
    "GRAPH": field("graph_name"),
    "ID": field("id"),
}
DELIVERIES: Columns = {
    "RECEIVED": moment("received_at"),
    "EVENT": field("event"),
    "STATUS": field("status"),
    "REASON": field("reason"),
    "EXECUTION": field("execution"),
    "ID": field("id"),
}
SHOWN = lines_of(["id", "name", "url", "graph_name", "scheme", "events", "mapping", "event_name", "is_enabled"])
CAME = lines_of(["id", "event", "status", "reason", "message", "execution"])


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    noun.add_list("list", "List them, newest first.", webhooks.find, COLUMNS)
    noun.add_act("get", "Show one, with the address to send to.", webhooks.get, SHOWN)
    made = noun.add(
        "create", "Make an address that starts a graph; prints it and the secret to sign with, once.", _create
    )
    made.add_argument("graph", metavar="GRAPH", help="an id or a name")
    made.add_argument("--name", required=True, metavar="NAME")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--scheme", metavar="SCHEME", help="how deliveries are signed (default: generic)")
    how.add_argument("--provider", metavar="PROVIDER", help="who sends instead, such as github, stripe or slack")
    made.add_argument("--secret-file", type=Path, metavar="FILE", help="where the sender has made the secret")
    made.add_argument(
        "--event",
        action="append",
        default=[],
        metavar="EVENT",
        help="what starts it; may be given several times (default: all)",
    )
    made.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="INPUT=POINTER",
        help="where the value of an input is in what comes, such as title=/issue/title",
    )
    noun.add_act("enable", "Turn one on.", lambda id_: webhooks.change(id_, is_enabled=True), SHOWN)
    noun.add_act(
        "disable",
        "Turn one off; what comes is kept and starts nothing.",
        lambda id_: webhooks.change(id_, is_enabled=False),
        SHOWN,
    )
    noun.add_act("rotate", "Give one another secret.", webhooks.rotate, lambda one: [one["secret"]])
    noun.add_act("delete", "Remove one, and what came there.", webhooks.delete)
    noun.add_list_of("deliveries", "List what came, newest first.", webhooks.deliveries, DELIVERIES)
    replay = noun.add("replay", "Start once more what a delivery brought.", _replay, takes_id=True)
    replay.add_argument("delivery", metavar="DELIVERY")


def _create(client: Client, asked: Namespace, printer: Printer) -> int:
    made = client.do(
        webhooks.create(
            graph=find_graph(client, asked.graph)["id"],
            name=asked.name,
            scheme=asked.scheme,
            provider=asked.provider,
            secret=_secret(asked.secret_file),
            events=asked.event,
            mapping=pairs(asked.map, "--map INPUT=POINTER") or None,
        )
    )
    printer.result(made, [f"id      {made['id']}", f"url     {made['url']}", f"secret  {made['secret']}"])
    printer.note("The secret is shown only now.")
    return codes.SUCCEEDED


def _replay(client: Client, asked: Namespace, printer: Printer) -> int:
    came = client.do(webhooks.replay(id_of(asked.id, "webhook"), id_of(asked.delivery, "delivery")))
    printer.result(came, CAME(came))
    return codes.SUCCEEDED


def _secret(file: Path | None) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip() if file else None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} can not be read: {error}") from error
