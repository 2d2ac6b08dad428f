"""S13, S14: what a body names is the asker's own, or it is refused like what does not exist; nobody sets what is not theirs to set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django_filters import ModelChoiceFilter, ModelMultipleChoiceFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.test import APIClient

from access.models import ApiKey
from blocks import registry
from executions import own_schedules, own_subscriptions, services
from executions.engine.spec import LinkSpec, NodeSpec
from executions.models import Execution
from files import storing
from graphs.models import Graph
from tests.blocks import node
from tests.factories import document_of, make_execution, make_key, make_published, make_user
from tests.keys import KEYED, TellsKey, make_credential, new_secret, run
from tests.security.test_tenants import ASKED

pytestmark = pytest.mark.django_db

UNKNOWN = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"
SOME_KEY = {"api_key": "sk-0123456789abcdef"}
TABLES = [
    model
    for app in ("access", "executions", "files", "graphs", "integrations")
    for model in apps.get_app_config(app).get_models()
]


@pytest.fixture
def theirs() -> dict[str, str]:
    """Make one of everything that a body can name, of somebody else; return the ids by what they are."""
    owner = make_user()
    version = make_published([node("only", "test.source")], owner=owner)
    group = Group.objects.create(name="theirs")
    group.user_set.add(owner)
    make_key(owner)
    return {
        "graph": str(version.graph_id),
        "version": str(version.pk),
        "execution": str(make_execution(version).pk),
        "key": str(ApiKey.objects.get(owner=owner).pk),
        "owner": str(owner.pk),
        "credential": str(make_credential(owner, new_secret()).pk),
        "group": group.name,
        "file": str(storing.store([b"theirs"], owner_id=owner.pk, name="theirs").pk),
    }


@pytest.fixture
def mine() -> dict[str, str]:
    owner = make_user()
    version = make_published([node("only", "test.source")], owner=owner)
    schedule = own_schedules.create(graph=version.graph, name="mine", kind="cron", cron="@daily")
    subscription, _ = own_subscriptions.create(owner_id=owner.pk, name="mine", url="https://example.com/hook")
    text = make_key(owner)
    return {
        "key": text,
        "key_id": str(ApiKey.objects.get(owner=owner).pk),
        "graph": str(version.graph_id),
        "reading": str(make_published([node("in", "test.input", name="doc")], owner=owner).graph_id),
        "schedule": str(schedule.pk),
        "subscription": str(subscription.pk),
    }


def unknown() -> dict[str, str]:
    """Return ids of nothing, by what they could be."""
    return dict.fromkeys(["graph", "version", "execution", "key", "owner", "credential", "group", "file"], UNKNOWN) | {
        "owner": "999999999"
    }


CRON = {"name": "x", "kind": "cron", "cron": "@daily"}
A_SUBSCRIPTION = {"name": "x", "url": "https://example.com/hook"}
A_KEY = {"name": "x", "scopes": ["executions:read"]}
A_CREDENTIAL = {"name": "x", "provider": "openai", "kind": "api_key", "secret": SOME_KEY}
#: Method, address and body; `{…}` is the asker's own, `[…]` what the body names.
NAMED = [
    ("post", "executions/", {"graph": "[graph]"}),
    ("post", "executions/", {"version": "[version]"}),
    ("post", "schedules/", {"graph": "[graph]", **CRON}),
    ("post", "schedules/", {"graph": "{graph}", "version": "[version]", **CRON}),
    ("patch", "schedules/{schedule}/", {"version": "[version]"}),
    ("post", "executions/", {"graph": "{reading}", "inputs": {"doc": {"file_id": "[file]"}}}),
    ("post", "schedules/", {"graph": "{reading}", "inputs": {"doc": [{"file_id": "[file]"}]}, **CRON}),
    ("post", "webhooks/", {"graph": "[graph]", "name": "x"}),
    ("post", "subscriptions/", {"graph": "[graph]", **A_SUBSCRIPTION}),
    ("patch", "subscriptions/{subscription}/", {"graph": "[graph]"}),
    ("post", "api-keys/", {"graph": "[graph]", **A_KEY}),
    ("put", "api-keys/{key_id}/", {"graph": "[graph]", **A_KEY}),
    *[
        ("post", "budgets/", {"scope": scope, "scope_id": f"[{what}]", "limit_microcredits": 5})
        for scope, what in (("GRAPH", "graph"), ("EXECUTION", "execution"), ("API_KEY", "key"), ("OWNER", "owner"))
    ],
    ("post", "credentials/", {**A_CREDENTIAL, "group": "[group]"}),
]


@pytest.mark.parametrize(
    ("method", "at", "body"), NAMED, ids=[f"{at} {list(body)[-1]} {body.get('scope', '')}" for _, at, body in NAMED]
)
def test_s13_what_is_anothers_is_refused_as_what_does_not_exist(mine, theirs, method, at, body):
    before = everything()

    found = asked(mine, method, at, body, theirs)
    missing = asked(mine, method, at, body, unknown())

    assert found == missing
    assert found[0] in (400, 404, 422)
    assert everything() == before


#: What the filter of a list names.
FILTERED = [
    ("executions/", "graph"),
    ("executions/", "version"),
    ("schedules/", "graph"),
    ("webhooks/", "graph"),
    ("subscriptions/", "graph"),
    ("ledger/", "graph"),
    ("ledger/", "execution"),
    ("ledger/costs/?by=day&since=2026-01-01T00:00:00Z", "graph"),
    ("approvals/", "execution"),
    ("budgets/", "scope_id=graph"),
]


@pytest.mark.parametrize(("at", "named"), FILTERED)
def test_s12_a_filter_tells_nothing_of_what_is_anothers(mine, theirs, at, named):
    client = client_of(mine)
    field, _, what = named.rpartition("=")
    mark = "&" if "?" in at else "?"

    answers = [client.get(f"/api/v1/{at}{mark}{field or what}={ids[what]}") for ids in (theirs, unknown())]

    found, missing = (
        (answer.status_code, shown(answer, ids)) for answer, ids in zip(answers, (theirs, unknown()), strict=True)
    )
    assert found == missing


def test_s12_no_filter_says_of_a_row_whether_it_exists():
    """A choice among rows, which django-filter makes of a foreign key, is a choice among everybody's."""
    choosing = {
        (view.__name__, name)
        for *_, view in ASKED
        if (filters := DjangoFilterBackend().get_filterset_class(view, getattr(view, "queryset", None)))
        for name, one in filters.base_filters.items()
        if isinstance(one, ModelChoiceFilter | ModelMultipleChoiceFilter)
    }

    assert choosing == set(), "Filter by the id: django_filters.UUIDFilter(field_name='graph_id')"


class TestADocument:
    def test_that_names_a_credential_of_another_is_not_even_a_draft(self, mine, theirs):
        registry.register(*KEYED)
        document = document_of([NodeSpec("ask", TellsKey.id)]).as_data()
        document["nodes"][0]["credentials"] = {"openai": "[credential]"}
        before = everything()

        found, missing = (asked_with_document(mine, document, ids) for ids in (theirs, unknown()))

        assert found == missing
        assert (found[0], "CREDENTIAL_NOT_FOUND" in found[1]) == (422, True), found
        assert everything() == before

    def test_names_a_graph_of_another_in_vain_when_it_is_run(self, theirs):
        version = make_published([NodeSpec("call", "agent-block", {"agent_id": theirs["graph"]})])

        rows = run(services.start(version_id=version.pk, owner_id=version.graph.owner_id))

        assert (rows["call"].status, rows["call"].error_code) == ("FAILED", "GRAPH_NOT_FOUND")
        assert not Execution.objects.filter(parent_id__isnull=False).exists()

    @pytest.mark.parametrize("method", ["post", "put"])
    def test_takes_the_place_of_no_other_graph(self, mine, theirs, method):
        document = document_of([node("only", "test.source")]).as_data()
        document |= {"name": "taken", "id": theirs["graph"], "user_id": int(theirs["owner"]), "owner": theirs["owner"]}
        before = Graph.objects.filter(pk=theirs["graph"]).values().get()
        at = "/api/v1/graphs/" if method == "post" else f"/api/v1/graphs/{mine['graph']}/"

        answer = getattr(client_of(mine), method)(at, document, format="json")

        assert answer.status_code in (200, 201, 400, 422)
        assert Graph.objects.filter(pk=theirs["graph"]).values().get() == before
        assert not Graph.objects.filter(owner_id=theirs["owner"]).exclude(pk=theirs["graph"]).exists()


#: Where something is made or changed, with the least that is taken.
WRITTEN = [
    ("post", "executions/", {"graph": "{graph}"}),
    ("post", "schedules/", {"graph": "{graph}", **CRON}),
    ("patch", "schedules/{schedule}/", {"name": "y"}),
    ("post", "webhooks/", {"graph": "{graph}", "name": "x"}),
    ("post", "subscriptions/", A_SUBSCRIPTION),
    ("patch", "subscriptions/{subscription}/", {"name": "y"}),
    ("post", "api-keys/", A_KEY),
    ("put", "api-keys/{key_id}/", A_KEY),
    ("post", "budgets/", {"scope": "OWNER", "limit_microcredits": 5}),
    ("post", "credentials/", A_CREDENTIAL),
]
#: What is set by the platform alone.
OURS = {
    **dict.fromkeys(["owner", "owner_id", "user", "user_id", "tenant"], "[owner]"),
    **dict.fromkeys(["id", "pk", "execution_id", "retried_from", "parent_id", "replay_of"], "[execution]"),
    **dict.fromkeys(["status", "pause_reason", "prefix", "digest", "api_key", "last4", "plan_mark"], "ours"),
    **dict.fromkeys(["cost_microcredits", "spent_microcredits", "balance", "launches", "fence", "depth"], 7),
    **dict.fromkeys(
        ["created_at", "started_at", "next_fire_at", "due_at", "revoked_at", "last_used_at"], "2001-01-01T00:00:00Z"
    ),
    **dict.fromkeys(["is_staff", "is_superuser", "is_archived", "is_stopping"], True),
}


@pytest.mark.parametrize(("method", "at", "body"), WRITTEN, ids=[f"{method} {at}" for method, at, _ in WRITTEN])
def test_s14_nobody_sets_what_the_platform_sets(mine, theirs, method, at, body):
    before = dict.fromkeys(TABLES, frozenset[str]()) | {model: written(model) for model in TABLES}

    asked(mine, method, at, {**OURS, **body}, theirs)

    new = {row for model in TABLES for row in written(model) - before[model]}
    # The owner's number may be that of anything else, too.
    hostile = [f"_id={theirs['owner']} ", f"={theirs['execution']}", "=ours", "=2001-01-01"]
    assert [(row, one) for row in new for one in hostile if one in f"{row} "] == []


def test_s14_an_input_changes_no_node():
    nodes = [node("in", "test.input", name="given"), node("echo", "test.echo-io")]
    version = make_published(nodes, [LinkSpec("in", "output", "echo", "input")])
    client = APIClient(headers={"Authorization": f"Bearer {make_key(version.graph.owner)}"})

    answers = [
        client.post("/api/v1/executions/", {"version": str(version.pk), "inputs": {"given": 1, name: hostile}})
        for name in ("echo", "url", "credentials", "nodes", "__proto__", "model")
        for hostile in ("http://evil.example", {"url": "http://evil.example"})
    ]

    assert {(answer.status_code, answer.data["code"]) for answer in answers} == {(422, "EXECUTION_INPUTS_INVALID")}
    assert not Execution.objects.filter(owner=version.graph.owner).exists()


def client_of(mine: Mapping[str, str]) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {mine['key']}"})


def asked(mine: Mapping[str, str], method: str, at: str, body: Any, named: Mapping[str, str]) -> tuple[int, str]:
    answer = getattr(client_of(mine), method)(f"/api/v1/{at.format(**mine)}", filled(body, mine, named), format="json")
    return answer.status_code, shown(answer, named)


def asked_with_document(mine: Mapping[str, str], document: Any, named: Mapping[str, str]) -> tuple[int, str]:
    (node_of,) = document["nodes"]
    return asked(mine, "post", "graphs/", {**document, "nodes": [filled(node_of, mine, named)]}, named)


def filled(body: Any, mine: Mapping[str, str], named: Mapping[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: filled(value, mine, named) for name, value in body.items()}
    if not isinstance(body, str):
        return body
    return mine.get(body[1:-1], body) if body[:1] == "{" else named.get(body[1:-1], body) if body[:1] == "[" else body


def shown(answer: Any, named: Mapping[str, str]) -> str:
    """Return an answer without the ids that were asked for."""
    text = answer.content.decode()
    for one in named.values():
        text = text.replace(one, "ID") if len(one) > 3 else text
    return text


def everything() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in TABLES}


def written(model: Any) -> frozenset[str]:
    """Return each row of a table as text."""
    return frozenset(
        " ".join(f"{name}={value}" for name, value in row.items()) for row in model._default_manager.values()
    )
