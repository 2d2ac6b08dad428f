"""API keys: what they open, from where, how long, and that nobody can read one again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from access import keyring
from access.errors import ApiKeyInvalid
from access.models import ApiKey
from access.scopes import Scope
from agentplatform.lib.clock import now
from agentplatform.management.commands import prepare_local
from tests.blocks import node
from tests.factories import make_execution, make_key, make_published, make_user

pytestmark = pytest.mark.django_db

KEYS, EXECUTIONS, GRAPHS = "/api/v1/api-keys/", "/api/v1/executions/", "/api/v1/graphs/"


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def console(user) -> APIClient:
    """Somebody who is logged in."""
    client = APIClient()
    client.force_authenticate(user)
    return client


def client_of(text: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {text}"})


def status_of(text: str, path: str = "/api/v1/me/", **more: Any) -> int:
    return client_of(text).get(path, **more).status_code


class TestAKey:
    def test_opens_what_is_its_owners(self, user):
        execution = make_execution(make_published([node("only", "test.source")], owner=user))
        make_execution()

        listed = client_of(make_key(user)).get(EXECUTIONS)

        assert [row["id"] for row in listed.data["results"]] == [str(execution.pk)]

    def test_is_kept_as_a_digest_only(self, user):
        text = make_key(user)

        row = ApiKey.objects.values().get()

        assert text not in str(row)
        assert text.startswith(row["prefix"])

    @pytest.mark.parametrize("text", ["", "ap_", "ap_nonsense", "\u00fc", "a b", "x" * 5000])
    def test_that_nobody_has_made_opens_nothing(self, text):
        answer = client_of(text.encode("utf-8").decode("latin-1")).get("/api/v1/me/")

        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')

    def test_opens_nothing_once_it_is_revoked_expired_or_its_owner_gone(self, user):
        revoked, expired, gone = make_key(user), make_key(user), make_key(make_user())
        keyring.revoke(ApiKey.objects.get(prefix=revoked[: keyring.SHOWN]))
        ApiKey.objects.filter(prefix=expired[: keyring.SHOWN]).update(expires_at=now())
        owner = ApiKey.objects.get(prefix=gone[: keyring.SHOWN]).owner
        owner.is_active = False
        owner.save()

        assert [status_of(text) for text in (revoked, expired, gone)] == [401, 401, 401]

    def test_opens_nothing_from_elsewhere(self, user):
        text = make_key(user, networks=["10.1.0.0/16", "2001:db8::/32"])

        from_there = [status_of(text, REMOTE_ADDR=one) for one in ("10.1.2.3", "10.2.2.3", "2001:db8::7", "")]

        assert from_there == [200, 401, 200, 401]

    def test_is_noted_when_it_is_used_and_not_each_time(self, user, django_assert_num_queries):
        text = make_key(user)

        status_of(text)
        with django_assert_num_queries(0):
            status_of(text)

        assert now() - ApiKey.objects.get().last_used_at < timedelta(minutes=1)

    def test_stays_good_for_a_day_when_it_is_replaced(self, user):
        before = make_key(user)
        key = ApiKey.objects.get()

        text = keyring.rotate(key)
        both = [status_of(before), status_of(text)]
        ApiKey.objects.update(old_until=now())

        assert both == [200, 200]
        assert [status_of(before), status_of(text)] == [401, 200]


class TestScopes:
    @pytest.mark.parametrize(
        ("scope", "method", "path", "code"),
        [
            (Scope.EXECUTIONS_READ, "get", EXECUTIONS, 200),
            (Scope.EXECUTIONS_START, "get", EXECUTIONS, 403),
            (Scope.EXECUTIONS_READ, "post", EXECUTIONS, 403),
            (Scope.EXECUTIONS_START, "post", EXECUTIONS, 400),
            (Scope.EXECUTIONS_READ, "post", f"{EXECUTIONS}01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9/cancel/", 403),
            (Scope.EXECUTIONS_CONTROL, "post", f"{EXECUTIONS}01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9/cancel/", 404),
            (Scope.GRAPHS_READ, "get", GRAPHS, 200),
            (Scope.GRAPHS_READ, "post", GRAPHS, 403),
            (Scope.MONEY_READ, "get", "/api/v1/ledger/balance/", 200),
            (Scope.GRAPHS_READ, "get", "/api/v1/ledger/balance/", 403),
            (Scope.GRAPHS_READ, "get", "/api/v1/credentials/", 403),
        ],
    )
    def test_open_what_they_say_and_nothing_else(self, user, scope, method, path, code):
        answer = getattr(client_of(make_key(user, scope)), method)(path, {}, format="json")

        assert answer.status_code == code
        assert answer.status_code != 403 or answer.data["code"] == "SCOPE_MISSING"

    def test_of_a_key_are_all_that_it_can_give(self, user):
        client = client_of(make_key(user, Scope.KEYS_WRITE, Scope.GRAPHS_READ))

        given = client.post(KEYS, {"name": "less", "scopes": ["graphs:read"]}, format="json")
        refused = client.post(KEYS, {"name": "more", "scopes": ["graphs:write"]}, format="json")

        assert (given.status_code, refused.status_code, refused.data["code"]) == (201, 403, "SCOPE_MISSING")

    def test_of_a_key_are_not_widened_by_the_text_of_one_that_has_more(self, user):
        wide = make_key(user)
        client = client_of(make_key(user, Scope.KEYS_WRITE))

        answer = client.post(f"{KEYS}{ApiKey.objects.get(prefix=wide[: keyring.SHOWN]).pk}/rotate/")

        assert (answer.status_code, answer.data["code"]) == (403, "SCOPE_MISSING")
        assert status_of(wide) == 200

    def test_of_a_key_can_be_used_anew_by_itself(self, user):
        text = make_key(user, Scope.KEYS_WRITE)

        answer = client_of(text).post(f"{KEYS}{ApiKey.objects.get().pk}/rotate/")

        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("asked", "code"),
        [
            ({}, 422),
            ({"networks": ["127.0.0.0/8"]}, 422),
            ({"networks": ["0.0.0.0/0"], "expires_at": "2999-01-01T00:00:00Z"}, 422),
            ({"networks": ["127.0.0.1/32", "::/0"], "expires_at": "2999-01-01T00:00:00Z"}, 422),
            ({"networks": ["127.0.0.1/32"], "expires_at": "2999-01-01T00:00:01Z"}, 422),
            ({"networks": ["127.0.0.1/32"], "expires_at": "2999-01-01T00:00:00Z"}, 201),
        ],
    )
    def test_are_good_where_and_as_long_as_those_of_the_key_that_gives_them(self, user, asked, code):
        ends = datetime(2999, 1, 1, tzinfo=UTC)
        giving = make_key(user, Scope.KEYS_WRITE, networks=["127.0.0.0/8"], expires_at=ends)

        answer = client_of(giving).post(KEYS, {"name": "x", "scopes": ["keys:write"], **asked}, format="json")

        assert answer.status_code == code


class TestAKeyForOneGraph:
    def test_opens_that_and_its_executions(self, user):
        one, other = (make_published([node("only", "test.source")], owner=user) for _ in range(2))
        mine, others = make_execution(one), make_execution(other)
        scopes = (Scope.GRAPHS_READ, Scope.EXECUTIONS_READ, Scope.EXECUTIONS_START)
        client = client_of(make_key(user, *scopes, graph_id=one.graph_id))

        assert [row["id"] for row in client.get(GRAPHS).data["results"]] == [str(one.graph_id)]
        assert [row["id"] for row in client.get(EXECUTIONS).data["results"]] == [str(mine.pk)]
        assert client.get(f"{EXECUTIONS}{others.pk}/").status_code == 404
        assert client.get(f"{EXECUTIONS}{others.pk}/nodes/").status_code == 404
        asked = [client.post(EXECUTIONS, {"graph": of.graph_id}, format="json").status_code for of in (one, other)]
        by_version = [client.post(EXECUTIONS, {"version": of.pk}, format="json").status_code for of in (one, other)]
        assert asked == by_version == [202, 404]

    def test_can_have_no_more_than_that(self, user):
        version = make_published([node("only", "test.source")], owner=user)

        with pytest.raises(ApiKeyInvalid):
            make_key(user, Scope.MONEY_READ, graph_id=version.graph_id)


class TestTheApi:
    def test_tells_a_key_once(self, console):
        made = console.post(KEYS, {"name": "reports", "scopes": ["executions:read"]}, format="json")
        listed = console.get(KEYS).data["results"]

        assert made.status_code == 201
        assert status_of(made.data["key"]) == 200
        assert "key" not in listed[0]
        assert listed[0]["prefix"] == made.data["key"][: keyring.SHOWN]

    def test_replaces_and_revokes(self, console):
        made = console.post(KEYS, {"name": "reports", "scopes": ["executions:read"]}, format="json").data
        at = f"{KEYS}{made['id']}/"

        replaced = console.post(f"{at}rotate/").data
        revoked = console.post(f"{at}revoke/").data

        assert replaced["key"] != made["key"]
        assert revoked["revoked_at"]
        assert [status_of(text) for text in (made["key"], replaced["key"])] == [401, 401]
        assert console.post(f"{at}rotate/").status_code == 422

    @pytest.mark.parametrize(
        ("asked", "path"),
        [
            ({"scopes": ["everything"]}, "scopes"),
            ({"scopes": []}, "scopes"),
            ({"networks": ["here"]}, "networks"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ],
    )
    def test_refuses_what_no_key_can_be(self, console, asked, path):
        answer = console.post(KEYS, {"name": "x", "scopes": ["graphs:read"]} | asked, format="json")

        assert answer.status_code in (400, 422)
        assert path in str(answer.data)

    def test_anothers_key_and_anothers_graph_are_not_there(self, console):
        make_key(make_user())
        other = ApiKey.objects.get()
        graph = make_published([node("only", "test.source")]).graph

        asked = {"name": "x", "scopes": ["graphs:read"], "graph": str(graph.pk)}
        answers = [
            console.get(f"{KEYS}{other.pk}/"),
            console.post(f"{KEYS}{other.pk}/rotate/"),
            console.post(f"{KEYS}{other.pk}/revoke/"),
            console.post(KEYS, asked, format="json"),
        ]

        assert [answer.status_code for answer in answers] == [404] * 4

    def test_says_who_i_am(self, user, console):
        text = make_key(user, Scope.GRAPHS_READ)

        by_key, by_session = client_of(text).get("/api/v1/me/").data, console.get("/api/v1/me/").data

        assert (by_key["username"], by_key["key"]["scopes"]) == (user.username, ["graphs:read"])
        assert (by_session["username"], by_session["key"]) == (user.username, None)


def test_the_key_of_this_machine_opens_what_a_later_release_has_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prepare_local, "LOCAL", tmp_path)
    call_command("prepare_local", "--with-admin")
    text = (tmp_path / "api_key").read_text()
    ApiKey.objects.update(scopes=["graphs:read"])

    call_command("prepare_local", "--with-admin")

    assert (tmp_path / "api_key").read_text() == text
    assert set(ApiKey.objects.get().scopes) == set(Scope)
