"""The verbs of subscriptions: who is told, and what went out."""

from __future__ import annotations

from argparse import Namespace

from agentplatform_client import subscriptions
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import find_graph, id_of
from agentplatform_client.cli.nouns import Columns, Noun, as_moment, field, lines_of, moment
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError

COLUMNS: Columns = {
    "NAME": field("name"),
    "STATE": lambda one: "on" if one["is_enabled"] else one["disabled_reason"],
    "EVENTS": lambda one: " ".join(one["events"]) or "all",
    "GRAPH": field("graph_name"),
    "URL": field("url"),
    "ID": field("id"),
}
DELIVERIES: Columns = {
    "CREATED": moment("created_at"),
    "EVENT": field("event"),
    "STATUS": field("status"),
    "ATTEMPTS": field("attempts"),
    "ANSWER": lambda one: one["status_code"] or one["error_code"] or "-",
    "NEXT": moment("next_at"),
    "ID": field("id"),
}
SHOWN = lines_of(["id", "name", "url", "events", "graph_name", "is_enabled", "disabled_reason", "failures", "heard_at"])
SENT = lines_of(["id", "event", "status", "attempts", "status_code", "error_code", "error_message", "next_at"])


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    noun.add_list("list", "List them, newest first.", subscriptions.find, COLUMNS)
    noun.add_act("get", "Show one.", subscriptions.get, SHOWN)
    made = noun.add("create", "Let an address be told what happens; prints the secret to verify with, once.", _create)
    made.add_argument("address", metavar="URL", help="a public https address, or one that the operator allows")
    made.add_argument("--name", metavar="NAME", help="what it is called (default: its host)")
    made.add_argument(
        "--event",
        action="append",
        default=[],
        metavar="EVENT",
        help="such as execution.failed, or a kind, such as approval; may be given several times (default: all)",
    )
    made.add_argument("--graph", metavar="GRAPH", help="only what happens to executions of this one, by id or name")
    noun.add_act("enable", "Turn one on.", lambda id_: subscriptions.change(id_, is_enabled=True), SHOWN)
    noun.add_act(
        "disable",
        "Turn one off; what it has not got is given up.",
        lambda id_: subscriptions.change(id_, is_enabled=False),
        SHOWN,
    )
    noun.add_act("rotate", "Give one another secret.", subscriptions.rotate, lambda one: [one["secret"]])
    noun.add_act("ping", "Send a test.", subscriptions.ping, SENT)
    noun.add_act("delete", "Remove one, and what went out to it.", subscriptions.delete)
    noun.add_list_of("deliveries", "List what went out, newest first.", subscriptions.deliveries, DELIVERIES)
    again = noun.add(
        "resend", "Send one delivery once more, or all that were given up since a moment.", _resend, takes_id=True
    )
    again.add_argument("delivery", metavar="DELIVERY", nargs="?")
    again.add_argument(
        "--since",
        type=as_moment,
        metavar="TIME",
        help="instead: all that were given up since, such as 2026-06-01T12:00Z",
    )


def _create(client: Client, asked: Namespace, printer: Printer) -> int:
    graph = find_graph(client, asked.graph)["id"] if asked.graph else None
    name = asked.name or asked.address.partition("://")[2].partition("/")[0] or asked.address
    made = client.do(subscriptions.create(url=asked.address, name=name, events=asked.event, graph=graph))
    printer.result(made, [f"id      {made['id']}", f"secret  {made['secret']}"])
    printer.note("The secret is shown only now.")
    return codes.SUCCEEDED


def _resend(client: Client, asked: Namespace, printer: Printer) -> int:
    subscription = id_of(asked.id, "subscription")
    if (asked.delivery is None) == (asked.since is None):
        raise UsageError("Name a delivery, or --since.")
    if asked.since:
        told = client.do(subscriptions.resend_failed(subscription, since=asked.since))
        printer.result(told, [f"{told['deliveries']} are sent once more."])
    else:
        sent = client.do(subscriptions.resend(subscription, id_of(asked.delivery, "delivery")))
        printer.result(sent, SENT(sent))
    return codes.SUCCEEDED
