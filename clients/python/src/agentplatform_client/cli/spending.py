"""The verbs of money: what there is, where it went, and what executions may cost."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from agentplatform_client import money
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import find_graph
from agentplatform_client.cli.nouns import Columns, Noun, as_moment, field, moment
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client

ENTRIES: Columns = {
    "TIME": moment("time"),
    "KIND": field("kind"),
    "AMOUNT": lambda one: one["amount"]["text"],
    "FROM": field("debit"),
    "TO": field("credit"),
    "NODE": field("node"),
    "EXECUTION": field("execution"),
}
BUDGETS: Columns = {
    "ID": field("id"),
    "OF": field("scope"),
    "WHICH": field("scope_id"),
    "PERIOD": field("period"),
    "LIMIT": lambda one: one["limit"]["text"],
    "SPENT": lambda one: one["spent"]["text"],
    "REMAINING": lambda one: one["remaining"]["text"],
}


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    noun.add("balance", "Say what you have, what is held of it, and what you can still spend.", _balance)
    noun.add_list("entries", "List every transfer, newest first.", money.entries, ENTRIES)
    costs = noun.add("costs", "Add up what you have used.", _costs)
    costs.add_argument(
        "--by", choices=["day", "graph", "node", "execution"], default="day", help="(default: %(default)s)"
    )
    costs.add_argument("--since", type=as_moment, metavar="TIME", help="(default: thirty days ago)")
    costs.add_argument("--until", type=as_moment, metavar="TIME")
    costs.add_argument("--graph", metavar="GRAPH", help="by id or name")


def declare_budgets(noun: Noun) -> None:
    """Say which verbs budgets have."""
    noun.add_list("list", "List the limits you have set.", money.budgets, BUDGETS)
    limit = noun.add("set", "Limit what something may cost, in the place of the limit there is.", _limit)
    limit.add_argument(
        "scope",
        metavar="OF",
        choices=["owner", "graph", "execution", "api_key"],
        help="owner, graph, execution or api_key",
    )
    limit.add_argument("which", metavar="WHICH", nargs="?", default="", help="its id; of an owner, nothing")
    limit.add_argument("--limit", required=True, type=int, metavar="MICROCREDITS", help="millionths of a US dollar")
    limit.add_argument("--daily", action="store_true", help="anew each day")
    lift = noun.add("delete", "Remove a limit.", _lift)
    lift.add_argument("budget", metavar="BUDGET", type=int, help="its number")


def _balance(client: Client, asked: Namespace, printer: Printer) -> int:
    told: Any = client.do(money.balance())
    lines = [f"{name.ljust(9)}  {amount['text'] if amount else 'without end'}" for name, amount in told.items()]
    printer.result(told, lines)
    return codes.SUCCEEDED


def _costs(client: Client, asked: Namespace, printer: Printer) -> int:
    graph = find_graph(client, asked.graph)["id"] if asked.graph else None
    used: Any = client.do(money.costs(by=asked.by, since=asked.since, until=asked.until, graph=graph))
    names = [name for name in ("day", "graph", "node", "execution") if any(name in one for one in used)]
    rows = [[*(one.get(name) for name in names), one["cost"]["text"], one["charges"]] for one in used]
    printer.table(used, [*(name.upper() for name in names), "COST", "CHARGES"], rows)
    return codes.SUCCEEDED


def _limit(client: Client, asked: Namespace, printer: Printer) -> int:
    made = client.do(
        money.limit(
            scope=asked.scope.upper(),
            scope_id=asked.which,
            period="DAY" if asked.daily else "NONE",
            limit_microcredits=asked.limit,
        )
    )
    printer.table(made, list(BUDGETS), [[cell(made) for cell in BUDGETS.values()]])
    return codes.SUCCEEDED


def _lift(client: Client, asked: Namespace, printer: Printer) -> int:
    client.do(money.lift(asked.budget))
    printer.note("delete: done.")
    return codes.SUCCEEDED
