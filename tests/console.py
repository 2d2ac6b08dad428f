"""The console, page by page: every address, and one of everything that has a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import Group
from django.urls import URLPattern, URLResolver, get_resolver

from access.models import ApiKey
from executions import ledger, own_schedules, own_subscriptions, own_webhooks, schedules
from executions.engine.spec import LinkSpec
from executions.engine.status import Status
from executions.models import Budget, Delivery, TokenPrice
from files import storing
from graphs.models import Link, Node
from tests.blocks import node
from tests.factories import make_execution, make_key, make_node_execution, make_published, make_user
from tests.keys import make_credential, new_secret
from tests.paid import make_price
from tests.waiters import make_wait


def _pages(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        at = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _pages(pattern.url_patterns, at)
        elif isinstance(pattern, URLPattern) and at.startswith("admin/"):
            yield at, pattern.name or ""


#: Every address of the console, and its name.
PAGES = sorted(set(_pages()))


def make_rows() -> dict[str, Any]:
    """Make one of everything that has a page, by the name of its model."""
    owner = make_user()
    nodes = [node("only", "test.source"), node("next", "test.echo-io")]
    version = make_published(nodes, [LinkSpec("only", "output", "next", "input")], owner=owner)
    execution = make_execution(version, status=Status.WAITING)
    schedule = own_schedules.create(graph=version.graph, name="s", kind="cron", cron="@daily")
    webhook, _ = own_webhooks.create(graph=version.graph, name="w")
    subscription, _ = own_subscriptions.create(owner_id=owner.pk, name="o", url="https://example.com/hook")
    make_key(owner)
    make_price("m")
    entry = ledger.top_up(owner.pk, 5, key="k")
    delivery = Delivery.objects.create(webhook=webhook, key="k", digest="d", status="IGNORED", payload={}, size_bytes=2)
    return {
        "graph": version.graph,
        "graphversion": version,
        "node": Node.objects.first(),
        "link": Link.objects.first(),
        "execution": execution,
        "nodeexecution": make_node_execution(make_execution(version)),
        "wait": make_wait(execution),
        "file": storing.store([b"file"], owner_id=version.graph.owner_id, name="file.txt"),
        "schedule": schedule,
        "fire": schedules.fire_now(schedule),
        "webhook": webhook,
        "delivery": delivery,
        "subscription": subscription,
        "outgoingdelivery": own_subscriptions.ping(subscription),
        "account": entry.credit,
        "ledgerentry": entry,
        "apikey": ApiKey.objects.get(),
        "credential": make_credential(owner, new_secret()),
        "budget": Budget.objects.create(owner=owner, scope="OWNER", scope_id=str(owner.pk), limit_microcredits=5),
        "tokenprice": TokenPrice.objects.first(),
        "user": owner,
        "group": Group.objects.create(name="g"),
    }


def address(at: str, rows: dict[str, Any]) -> str:
    """Fill the places of an address in: with the id of what it is about, and with what can be done there."""
    model = at.split("/")[2] if at.count("/") > 2 else ""
    pk = getattr(rows.get(model), "pk", 1)
    filled = re.sub(r"<(?:\w+:)?(?:object_id|content_type_id|id)>", str(pk), at)
    return "/" + re.sub(r"<\w+:what>", "pause", re.sub(r"<\w+:name>", "cancel", filled))
