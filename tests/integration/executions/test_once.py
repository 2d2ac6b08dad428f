"""A start with an Idempotency-Key happens once, however often and from wherever it is asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from agentplatform.lib import once
from agentplatform.lib.clock import now
from executions.engine.status import Status
from executions.models import Execution, StartKey
from executions.once import start_once
from tests.blocks import node
from tests.factories import make_execution, make_key, make_published, make_user
from tests.integration.executions.paying import nobody_connected
from tests.integration.executions.races import at_once

EXECUTIONS = "/api/v1/executions/"
KEY = "3f1c1d5e-7a1b-4b57-9a9e-5f0c6a0e2f11"


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def version(user):
    return make_published([node("only", "test.source")], owner=user)


def client_of(user: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(user)}"})


def ask(client: APIClient, version: Any, key: str = KEY, path: str = EXECUTIONS, **more: Any) -> Any:
    return client.post(path, {"version": str(version.pk)} | more, format="json", headers={"Idempotency-Key": key})


@pytest.mark.django_db
class TestAKey:
    def test_gives_the_same_execution_again(self, user, version):
        client = client_of(user)

        first, second = ask(client, version), ask(client, version)

        assert (first.status_code, second.status_code) == (202, 202)
        assert first.data["id"] == second.data["id"]
        assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")
        assert Execution.objects.count() == 1

    def test_does_not_mind_how_the_same_json_is_written(self, user, version):
        client = client_of(user)
        one, other = f'{{"version": "{version.pk}", "priority": 1}}', f'{{"priority":1,"version":"{version.pk}"}}'

        answers = [
            client.post(EXECUTIONS, text, content_type="application/json", headers={"Idempotency-Key": KEY})
            for text in (one, other)
        ]

        assert [answer.status_code for answer in answers] == [202, 202]
        assert Execution.objects.count() == 1

    def test_is_refused_with_another_body(self, user, version):
        client = client_of(user)
        ask(client, version)

        answer = ask(client, version, priority=5)

        assert (answer.status_code, answer.data["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
        assert Execution.objects.count() == 1

    def test_of_somebody_else_is_another(self, user, version):
        ask(client_of(user), version)
        other = make_user()

        answer = ask(client_of(other), make_published([node("only", "test.source")], owner=other))

        assert answer.status_code == 202
        assert Execution.objects.count() == 2

    def test_is_forgotten_after_a_day(self, user, version):
        client = client_of(user)
        first = ask(client, version)
        StartKey.objects.update(created_at=now() - once.KEPT)

        second = ask(client, version)

        assert first.data["id"] != second.data["id"]
        assert StartKey.objects.get().execution_id == Execution.objects.latest("id").pk

    def test_of_what_was_refused_is_free_again(self, user, version):
        client = client_of(user)

        refused = ask(client, version, inputs={"unknown": 1})
        accepted = ask(client, version)

        assert (refused.status_code, accepted.status_code) == (422, 202)

    def test_counts_for_retries_too(self, user, version):
        earlier = make_execution(version, status=Status.FAILED)
        client, path = client_of(user), f"{EXECUTIONS}{earlier.pk}/retry/"

        first, second = (client.post(path, {}, format="json", headers={"Idempotency-Key": KEY}) for _ in range(2))
        start = ask(client, version)

        assert (first.data["id"], second.status_code) == (second.data["id"], 202)
        assert start.data["code"] == "IDEMPOTENCY_KEY_REUSED"

    @pytest.mark.parametrize("key", ["", "x" * 201, "\u00fc", "a\tb"])
    def test_can_not_be_everything(self, user, version, key):
        answer = ask(client_of(user), version, key.encode().decode("latin-1"))

        assert (answer.status_code, answer.data["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
        assert not Execution.objects.exists()

    def test_starts_at_once_where_nobody_stands_in_line(self, user, version):
        answer = ask(client_of(user), version)

        assert answer.data["position"] is None
        assert Execution.objects.get().launched_at is not None

    def test_starts_anew_what_was_dropped_with_its_month(self, user, version):
        client = client_of(user)
        ask(client, version)
        Execution.objects.all().delete()

        again, once_more = ask(client, version), ask(client, version)

        assert "Idempotent-Replayed" not in again
        assert once_more.data["id"] == again.data["id"]

    def test_that_is_old_is_removed_however_many_they_are(self, user, version, monkeypatch):
        client = client_of(user)
        monkeypatch.setattr(once, "AT_ONCE", 2)
        for key in ("old 1", "old 2", "old 3", "new"):
            ask(client, version, key)
        StartKey.objects.exclude(key="new").update(created_at=now() - once.KEPT - timedelta(seconds=1))

        assert once.forget_old(StartKey) == 3
        assert StartKey.objects.get().key == "new"


@pytest.mark.django_db(transaction=True)
def test_of_fifty_who_ask_at_once_one_starts():
    user = make_user()
    version = make_published([node("only", "test.source")], owner=user)
    clients = [client_of(user) for _ in range(10)]

    with nobody_connected():
        answers = [one for its in at_once(10, lambda n: [ask(clients[n], version) for _ in range(5)]) for one in its]

    accepted = [answer for answer in answers if answer.status_code == 202]
    others = {(answer.status_code, answer.data["code"]) for answer in answers if answer.status_code != 202}
    assert len(answers) == 50
    assert len({answer.data["id"] for answer in accepted}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in accepted) == 1
    assert others <= {(409, "IDEMPOTENCY_IN_FLIGHT")}
    assert Execution.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_whoever_asks_while_another_does_is_told_to_come_again():
    user = make_user()
    version = make_published([node("only", "test.source")], owner=user)
    told: list[Any] = []

    def start(execution_id: UUID) -> Execution:
        told.extend(at_once(1, lambda _: refused(user.pk)))
        return make_execution(version, id=execution_id)

    with nobody_connected():
        start_once(KEY, "d", start, owner_id=user.pk)

    assert told == [True]
    assert Execution.objects.count() == 1


def refused(owner_id: int) -> bool:
    try:
        start_once(KEY, "d", lambda execution_id: make_execution(id=execution_id), owner_id=owner_id)
    except once.KeyInFlight:
        return True
    return False
