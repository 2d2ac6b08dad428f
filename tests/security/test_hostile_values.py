"""S30, S31: each field of each request, and each parameter of each list, with what nobody means: taken or refused, never a fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from access.models import ApiKey
from executions import own_schedules, own_subscriptions, own_webhooks, schedules
from executions.engine.status import Status
from executions.models import Budget, Delivery
from files import storing
from tests.blocks import node
from tests.factories import document_of, make_execution, make_key, make_published, make_user
from tests.keys import make_credential, new_secret
from tests.scale import many
from tests.waiters import make_wait

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TEXTS = [
    *["", " ", "\0", "a\0b", "\ud800", "\udfff", "\ufffe", "\u202e\u200b", "x" * 100_000, "\U0001f642" * 5000, "\r\n"],
    *["%00", "../../etc/passwd", "' OR 1=1 --", "{{7*7}}", "$(id)", "__proto__", "\u0661\u0662", "\uff11", "-0", "NaN"],
    *["00000000-0000-0000-0000-000000000000", "urn:uuid:01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9", "{", "null", "true"],
    *["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z"],
    *[
        "2026-01-01T00:00:60Z",
        "2026-11-27",
        "Europe/../etc",
        "9" * 400,
        "1e999",
        "-1",
        "2147483648",
        "9223372036854775808",
    ],
]
VALUES: list[Any] = [
    *TEXTS,
    *[None, True, False, 0, -1, 1.5, -0.0, 1e308, 2**31, 2**63, -(2**63) - 1, 10**300],
    *[[], {}, [[]], [None], ["\0"], [{}], {"": ""}, {"\0": 1}, {"a": "\0"}, {"a": [{"b": "\ud800"}]}, ["x"] * 1000],
    *[{"x" * 1000: 1}, [[[[[[]]]]]], {"$ref": "#"}, [1, "1", None, {}]],
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(request=None, public=True))


@pytest.fixture
def mine() -> dict[str, Any]:
    """Make one of everything; return its key, and ids by the part of an address that names the kind."""
    owner = make_user()
    version = make_published([node("in", "test.input", name="given", default=1)], owner=owner)
    execution = make_execution(version, status=Status.WAITING)
    schedule = own_schedules.create(graph=version.graph, name="s", kind="cron", cron="@daily")
    webhook, _ = own_webhooks.create(graph=version.graph, name="w")
    delivery = Delivery.objects.create(webhook=webhook, key="k", digest="d", status="IGNORED", payload={}, size_bytes=2)
    subscription, _ = own_subscriptions.create(owner_id=owner.pk, name="o", url="https://example.com/hook")
    text = make_key(owner)
    budget = Budget.objects.create(owner=owner, scope="OWNER", scope_id=str(owner.pk), limit_microcredits=5)
    return {
        "key": text,
        "graphs": version.graph_id,
        "executions": execution.pk,
        "waits": (wait := make_wait(execution)).pk,
        "approvals": wait.pk,
        "files": storing.store([b"mine"], owner_id=owner.pk, name="mine.txt").pk,
        "schedules": schedule.pk,
        "fires": schedules.fire_now(schedule).pk,
        "webhooks": webhook.pk,
        "webhooks deliveries": delivery.pk,
        "subscriptions": subscription.pk,
        "subscriptions deliveries": own_subscriptions.ping(subscription).pk,
        "api-keys": ApiKey.objects.get(owner=owner).pk,
        "credentials": make_credential(owner, new_secret()).pk,
        "budgets": budget.pk,
        "ledger": 1,
        "blocks": "input-block",
        "document": document_of([node("in", "test.input", name="given")]).as_data(),
        "version": version.pk,
    }


def bodies(mine: dict[str, Any]) -> dict[str, Any]:
    """Return what is taken where something is sent, by the end of its address."""
    graph, cron = str(mine["graphs"]), {"name": "x", "kind": "cron", "cron": "@daily"}
    return {
        "post executions/": {"version": str(mine["version"]), "inputs": {"given": 1}},
        "post schedules/": {"graph": graph, "inputs": {"given": 1}, **cron},
        "post schedules/preview/": cron,
        "patch schedules/{id}/": {"name": "y"},
        "post webhooks/": {"graph": graph, "name": "x", "mapping": {"given": "/a"}, "events": ["e"]},
        "patch webhooks/{id}/": {"name": "y"},
        "post webhooks/{id}/try/": {"payload": {"given": 1}},
        "post subscriptions/": {"name": "x", "url": "https://example.com/hook", "events": ["execution.failed"]},
        "patch subscriptions/{id}/": {"name": "y"},
        "post api-keys/": {"name": "x", "scopes": ["graphs:read"]},
        "put api-keys/{id}/": {"name": "x", "scopes": ["keys:write", *["graphs:read"]]},
        "post budgets/": {"scope": "OWNER", "limit_microcredits": 5},
        "patch budgets/{id}/": {"limit_microcredits": 5},
        "post credentials/": {
            "name": "x",
            "provider": "openai",
            "kind": "api_key",
            "secret": {"api_key": "sk-0123456789abcdef"},
        },
        "post events/": {"name": "e", "payload": {"a": 1}},
        "post approvals/{id}/answer/": {"approved": True},
        "post graphs/": mine["document"],
        "put graphs/{id}/": mine["document"],
        "post graphs/validate/": mine["document"],
        "post graphs/{id}/rollback/": {"version": 1},
        "post executions/{id}/retry/": {"mode": "failed"},
        "post executions/{id}/retry/preview/": {"mode": "failed"},
    }


def some_of(values: list[Any], start: int) -> list[Any]:
    """Return some of the values, others for each field; all of them where there is time."""
    count = min(many(8), len(values))
    return [values[(start + 7 * number) % len(values)] for number in range(count)]


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for at, methods in schema["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield at, method, operation


def address(at: str, mine: dict[str, Any]) -> str:
    """Fill the places of an address in with ids of one's own."""
    parts = at.strip("/").split("/")
    for place, part in enumerate(parts):
        if part[0] == "{":
            kind = parts[place - 1]
            parts[place] = str(mine[kind] if kind != "deliveries" else mine[f"{parts[place - 3]} deliveries"])
    return f"/{'/'.join(parts)}/"


def properties_of(operation: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Return the names of what an operation takes."""
    content = operation.get("requestBody", {}).get("content", {})
    found = content.get("application/json", {}).get("schema", {})
    while "$ref" in found:
        found = schema["components"]["schemas"][found["$ref"].rsplit("/", 1)[-1]]
    return set(found.get("properties", {}))


def asked(mine: dict[str, Any], method: str, at: str, body: Any = None, **query: Any) -> int:
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {mine['key']}"})
    sent = json.dumps(body).encode(errors="surrogatepass") if body is not None else b""
    place = transaction.savepoint()
    answer = client.generic(method.upper(), at, sent, content_type="application/json", **query)
    if answer.streaming:
        b"".join(answer)
    if answer.status_code >= 500:
        transaction.savepoint_rollback(place)  # what Postgres refuses must not spoil what is asked afterwards
    return answer.status_code


def test_a_field_with_what_nobody_means_is_no_fault(schema, mine):
    faults, count, known = {}, 0, bodies(mine)
    for at, method, operation in operations(schema):
        short = f"{method} {at.removeprefix('/api/v1/')}"
        short = "/".join("{id}" if part[:1] == "{" else part for part in short.split("/"))
        for name in sorted(properties_of(operation, schema)):
            for value in some_of(VALUES, count):
                mine["api-keys"] = ApiKey.objects.order_by("-id").values_list("pk", flat=True)[0]
                count += 1
                status = asked(mine, method, address(at, mine), {**known.get(short, {}), name: value})
                if status >= 500:
                    faults[f"{short} {name}={str(value)[:40]!r}"] = status

    assert faults == {}
    assert count > 500


@pytest.mark.parametrize(
    "body", [None, True, 0, "x", [], [[]], [{}], {"": {}}, {"\0": 1}, 10**4000], ids=lambda body: str(body)[:20]
)
def test_a_body_of_another_form_is_no_fault(schema, mine, body):
    faults = {
        f"{method} {at}": status
        for at, method, _ in operations(schema)
        if method not in ("get", "delete") and (status := asked(mine, method, address(at, mine), body)) >= 500
    }

    assert faults == {}


def test_a_parameter_with_what_nobody_means_is_no_fault(schema, mine):
    faults = {}
    for at, method, operation in operations(schema):
        names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        for name in [*names, "cursor", "unheard_of"] if method == "get" and "/events/" not in at else []:
            for text in some_of(TEXTS, len(at) + len(name)):
                query = {name: text.encode(errors="surrogatepass")[:4000]}
                status = asked(mine, method, address(at, mine), query_params=query)
                if status >= 500:
                    faults[f"{at} {name}={text[:40]!r}"] = status

    assert faults == {}


def test_an_address_with_what_nobody_means_is_no_fault(schema, mine):
    faults = {}
    for at, method, _ in operations(schema):
        if "{" in at:
            for text in [
                "%00",
                "%ED%A0%80",
                "%FF",
                "..%2F..",
                "%2e%2e",
                "x" * 3000,
                "1" * 30,
                "%F0%9F%99%82",
                "-1",
                "1.5",
                "%0d%0aX:y",
            ]:
                place = "/".join(text if part[:1] == "{" else part for part in at.split("/"))
                if (status := asked(mine, method, place, {} if method != "get" else None)) >= 500:
                    faults[f"{method} {place[:80]}"] = status

    assert faults == {}


@pytest.mark.parametrize("at", ["/api/v1/executions/", "/api/v1/ledger/"])
@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_no_calendar_has_is_refused(mine, at, text):
    for name in ("created_after", "created_before"):
        assert asked(mine, "get", at, query_params={name: text}) == 400
