"""S12: whoever asks for another's, at any address with any method, finds nothing; addresses that nobody thought of fail closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient
from rest_framework.viewsets import ViewSetMixin

from access.models import ApiKey
from access.scopes import ANY_KEY, READING, Scope, scope_of
from executions import own_schedules, own_subscriptions, own_webhooks, schedules
from executions.engine.waits import WaitKind
from executions.models import (
    Budget,
    Execution,
    LedgerEntry,
    NodeExecution,
    OutgoingDelivery,
    Subscription,
    Wait,
)
from files import storing
from files.models import File
from integrations import services as credentials
from tests.blocks import node
from tests.factories import make_execution, make_key, make_node_execution, make_published, make_user

pytestmark = pytest.mark.django_db

UNKNOWN = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"
UNKNOWN_NUMBER = "999999999"


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every address below the API, and its view."""
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        at = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, at)
        elif isinstance(pattern, URLPattern) and at.startswith("api/v1/"):
            yield at, pattern.callback


def asked() -> list[tuple[str, str, str | None, type]]:
    """Return address, method, action and class of everything that can be asked."""
    found = []
    for at, view in routes():
        for method, action in getattr(view, "actions", {"get": None}).items():
            found.append((at, method, action, view.cls))
    return sorted({(at, method, action, cls) for at, method, action, cls in found if "format" not in at}, key=str)


ASKED = asked()


@pytest.mark.parametrize(("at", "method", "action", "view"), ASKED, ids=[f"{one[1]} {one[0]}" for one in ASKED])
def test_every_view_says_which_scope_opens_it(at, method, action, view):
    scope = scope_of(view, method.upper(), action)

    assert scope in {*Scope, ANY_KEY}, f"Add `scopes` to {view.__name__}, see access/scopes.py."
    assert not (method.upper() not in READING and scope == ANY_KEY)


def test_whoever_is_nobody_is_told_nothing():
    client = APIClient()

    answers = {
        (method, path_of(at, UNKNOWN)): getattr(client, method)(path_of(at, UNKNOWN)) for at, method, *_ in ASKED
    }

    assert {key: answer.status_code for key, answer in answers.items() if answer.status_code != 401} == {}


def path_of(at: str, thing: str, *, number: str = UNKNOWN_NUMBER) -> str:
    """Fill the places of an address in."""
    path, place = "", 0
    text = at.replace("^", "").replace("$", "").replace("\\Z", "")
    while place < len(text):
        if text.startswith("(?P<", place):
            end = _closing(text, place)
            path += number if "[0-9]{1,18}" in text[place:end] else thing
            place = end + 1
        elif text[place] == "\\":
            place += 1
        else:
            path += text[place]
            place += 1
    return f"/{path}"


def _closing(text: str, place: int) -> int:
    depth, within = 0, False
    for index in range(place, len(text)):
        if text[index] == "[":
            within = True
        elif text[index] == "]":
            within = False
        elif not within and text[index] == "(":
            depth += 1
        elif not within and text[index] == ")":
            depth -= 1
            if depth == 0:
                return index
    raise ValueError(text)


@pytest.fixture
def theirs() -> dict[str, list[str]]:
    """Make one of everything that somebody else owns; return the ids, those of numbers apart."""
    owner = make_user()
    version = make_published([node("only", "test.source")], owner=owner)
    execution = make_execution(version)
    make_node_execution(execution)
    wait = Wait.objects.create(
        execution_id=execution.pk, node_key="only", call_key="0", kind=WaitKind.APPROVAL, owner_id=owner.pk
    )
    webhook, _ = own_webhooks.create(graph=version.graph, name="theirs")
    credential = credentials.add(
        owner_id=owner.pk, provider="openai", kind="api_key", secret={"api_key": "sk-theirs-0123456789"}, name="theirs"
    )
    make_key(owner)
    budget = Budget.objects.create(owner=owner, scope="OWNER", scope_id=str(owner.pk), limit_microcredits=5)
    key = ApiKey.objects.get(owner=owner)
    schedule = own_schedules.create(graph=version.graph, name="theirs", kind="cron", cron="@daily")
    subscription, _ = own_subscriptions.create(owner_id=owner.pk, name="theirs", url="https://example.com/hook")
    told = own_subscriptions.ping(subscription)
    things = [version.graph, version, execution, wait, credential, key, webhook, schedule, schedules.fire_now(schedule)]
    things += [subscription, told, storing.store([b"theirs"], owner_id=owner.pk, name="theirs.txt")]
    return {"uuids": [str(one.pk) for one in things], "numbers": [str(budget.pk)]}


def test_what_is_anothers_is_answered_as_what_does_not_exist(theirs):
    client = APIClient(headers={"Authorization": f"Bearer {make_key(make_user())}"})
    told: dict[str, Any] = {}
    for at, method, _, view in ASKED:
        if "(?P<" not in at or not issubclass(view, ViewSetMixin):
            continue
        unknown = _asked(client, method, path_of(at, UNKNOWN))
        for thing in theirs["uuids"]:
            for number in theirs["numbers"]:
                found = _asked(client, method, path_of(at, thing, number=number))
                if found != unknown:
                    told[f"{method} {path_of(at, thing, number=number)}"] = (found, unknown)

    assert told == {}


def _asked(client: APIClient, method: str, path: str) -> tuple[int, Any]:
    answer = getattr(client, method)(path, {}, format="json") if method not in ("get", "head") else client.get(path)
    body = getattr(answer, "data", None)
    ids = {part for part in path.split("/") if part}
    text = str(body)
    for one in ids:
        text = text.replace(one, "ID")
    return answer.status_code, text


def test_nothing_of_anothers_was_changed(theirs):
    before = _counted()
    client = APIClient(headers={"Authorization": f"Bearer {make_key(make_user())}"})

    for at, method, *_ in ASKED:
        if "(?P<" in at and method not in ("get", "head"):
            for thing in theirs["uuids"]:
                _asked(client, method, path_of(at, thing, number=theirs["numbers"][0]))

    assert _counted() == before


def _counted() -> dict[str, Any]:
    return {
        "executions": list(Execution.objects.values_list("id", "status", "is_paused")),
        "nodes": NodeExecution.objects.count(),
        "waits": list(Wait.objects.values_list("id", "status")),
        "budgets": list(Budget.objects.values_list("id", "limit_microcredits")),
        "entries": LedgerEntry.objects.count(),
        "subscriptions": list(Subscription.objects.values_list("id", "url", "changed_at", "is_enabled")),
        "files": list(File.objects.values_list("id", "sha256")),
        "told": list(OutgoingDelivery.objects.values_list("id", "status", "begun_at")),
    }
