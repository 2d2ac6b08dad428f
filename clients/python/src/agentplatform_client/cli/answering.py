"""The verbs of approvals: what people are asked, and what they answer. And of events, for which firings wait too."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from agentplatform_client import approvals
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import id_of
from agentplatform_client.cli.nouns import Columns, Noun, add_limit, as_json, field, lines_of, moment
from agentplatform_client.cli.nouns import show as show_table
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client

COLUMNS: Columns = {
    "SINCE": moment("since"),
    "KIND": field("kind"),
    "STATUS": field("status"),
    "TITLE": field("title"),
    "UNTIL": moment("due_at"),
    "EXECUTION": field("execution"),
    "ID": field("id"),
}
SHOWN = lines_of(
    [
        "id",
        "kind",
        "status",
        "title",
        "execution",
        "node",
        "item",
        "users",
        "groups",
        "due_at",
        "data",
        "form",
        "answer",
        "answered_by",
        "comment",
    ]
)


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    found = add_limit(noun.add("list", "List what you are asked and is still open, newest first.", _list))
    found.add_argument("--status", metavar="STATUS", help="what has this status instead, such as ANSWERED")
    noun.add_act("get", "Show one, with what is shown and asked.", approvals.get, SHOWN)
    reply = noun.add("answer", "Answer one.", _answer, takes_id=True)
    verdict = reply.add_mutually_exclusive_group()
    verdict.add_argument("--approve", dest="approved", action="store_const", const=True)
    verdict.add_argument("--reject", dest="approved", action="store_const", const=False)
    reply.add_argument(
        "--answer-json",
        type=as_json,
        metavar="JSON",
        help='what the form asks for; of a decision such as \'{"choice": "run_again"}\'',
    )
    reply.add_argument(
        "--data-json", type=as_json, metavar="JSON", help="the data as it shall go on, where it may be changed"
    )
    reply.add_argument("--comment", metavar="TEXT")


def send_event(client: Client, asked: Namespace, printer: Printer) -> int:
    """Tell executions that wait for it what has happened."""
    told: Any = client.do(approvals.send_event(asked.name, asked.payload_json))
    printer.result(told, [f"{told['firings']} firings were waiting for it."])
    return codes.SUCCEEDED


def _list(client: Client, asked: Namespace, printer: Printer) -> int:
    return show_table(client, asked, printer, approvals.find(status=asked.status), COLUMNS)


def _answer(client: Client, asked: Namespace, printer: Printer) -> int:
    call = approvals.answer(
        id_of(asked.id, "approval"),
        approved=asked.approved,
        answer=asked.answer_json,
        data=asked.data_json,
        comment=asked.comment,
    )
    answered = client.do(call)
    printer.result(answered, SHOWN(answered))
    return codes.SUCCEEDED
