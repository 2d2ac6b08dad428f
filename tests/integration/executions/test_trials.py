"""Blocks are tried by their own examples, or once as any execution is: held, paid, masked and limited."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from access.scopes import Scope
from blocks import BLOCKS, registry
from executions.models import Execution, NodeExecution
from graphs.models import Graph
from integrations import services as credentials
from tests.blocks import TEST_BLOCKS, node
from tests.factories import make_key, make_published, make_user
from tests.integration.executions.paying import (
    PAID,
    Paid,
    assert_adds_up,
    entries_of,
    make_payer,
    nobody_connected,
    run,
)
from tests.integration.executions.races import at_once


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*TEST_BLOCKS, *PAID)


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def client(user):
    return client_of(user)


def client_of(user: Any, *scopes: Scope, **fields: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(user, *scopes, **fields)}"})


def ask(client: APIClient, block: str, **body: Any) -> Any:
    return client.post(f"/api/v1/blocks/{block}/test/", body, format="json")


@pytest.mark.django_db
class TestByExamples:
    def test_every_block_does_what_it_says_or_is_left_out(self, client):
        answers = {block.id: ask(client, block.id) for block in BLOCKS if not block.disabled}

        assert {answer.status_code for answer in answers.values()} == {200}
        assert [id_ for id_, answer in answers.items() if not answer.data["is_passed"]] == []
        assert all(len(answer.data["examples"]) == len(registry.get(id_).examples) for id_, answer in answers.items())

    def test_nothing_is_stored(self, client):
        told = ask(client, "split-text-block").data

        assert {one["is_passed"] for one in told["examples"]} == {True}
        assert told["examples"][0]["yielded"]
        assert not Execution.objects.exists()

    def test_what_asks_outside_is_left_out(self, client):
        told = ask(client, "http-request-block").data

        assert {one["is_passed"] for one in told["examples"]} == {None}

    def test_there_is_none_of_a_block_that_there_is_not(self, client):
        assert ask(client, "no-such-block").status_code == 404


@pytest.mark.django_db(transaction=True)
class TestWithInputs:
    def test_it_runs_once_as_an_execution(self, client):
        answer = ask(client, "split-text-block", inputs={"text": "a,b", "separator": ","})
        run(Execution.objects.get(pk=answer.data["id"]))

        assert answer.status_code == 202
        assert answer["Location"].endswith(f"/executions/{answer.data['id']}/")
        tested = NodeExecution.objects.get(execution_id=answer.data["id"], node_key="tested")
        assert (tested.status, tested.outputs["part"]) == ("SUCCEEDED", ["a", "b"])

    def test_the_same_question_asks_the_same_graph(self, client, user):
        first = ask(client, "split-text-block", inputs={"text": "a,b"})
        second = ask(client, "split-text-block", inputs={"text": "c"})
        other = ask(client, "split-text-block", inputs={"text": "c", "separator": ","})

        assert first.data["version"] == second.data["version"] != other.data["version"]
        assert set(Graph.objects.values_list("is_archived", "owner_id")) == {(True, user.pk)}

    def test_many_at_once_ask_one_graph_too(self, user):
        clients = [client_of(user) for _ in range(6)]

        with nobody_connected():
            answers = at_once(6, lambda number: ask(clients[number], "split-text-block", inputs={"text": str(number)}))

        assert {answer.status_code for answer in answers} == {202}
        assert Graph.objects.count() == 1

    def test_it_is_paid(self):
        payer = make_payer(1_000)
        answer = ask(client_of(payer), Paid.id, inputs={"input": 1})

        run(Execution.objects.get(pk=answer.data["id"]))

        assert [kind for kind, _ in entries_of(answer.data["id"])] != []
        assert_adds_up(payer.pk)

    def test_it_is_refused_where_it_can_not_be_paid(self):
        answers = [
            ask(client_of(make_payer(1)), Paid.id, inputs={"input": 1}),
            ask(client_of(make_payer(1_000)), Paid.id, inputs={"input": 1}, budget_microcredits=1),
        ]

        assert {(answer.status_code, answer.data["code"]) for answer in answers} == {(402, "BUDGET_EXCEEDED")}
        assert not Execution.objects.exists()


@pytest.mark.django_db
class TestItIsRefused:
    def test_where_it_would_act_and_nobody_asked_for_that(self, client):
        inputs = {"url": "https://example.com/"}

        refused, asked = (
            ask(client, "http-request-block", inputs=inputs),
            ask(client, "http-request-block", inputs=inputs, effects=True),
        )

        assert (refused.status_code, refused.data["code"]) == (409, "BLOCK_HAS_EFFECTS")
        assert asked.status_code == 202

    def test_where_the_inputs_do_not_fit(self, client):
        answers = [ask(client, "split-text-block", inputs=inputs) for inputs in ({}, {"text": "a", "other": 1})]

        assert {answer.data["code"] for answer in answers} == {"INPUT_INVALID"}
        assert not Graph.objects.exists()

    def test_with_a_credential_of_somebody_else(self, client):
        theirs = credentials.add(
            owner_id=make_user().pk, provider="openai", kind="api_key", secret={"api_key": "sk-0123456789"}, name="x"
        )

        answer = ask(client, "llm-chat-block", inputs={"prompt": "Hi."}, credentials={"openai": str(theirs.pk)})

        assert (answer.status_code, answer.data["code"]) == (422, "GRAPH_INVALID")
        assert not Graph.objects.exists()

    def test_with_a_key_that_may_not(self, user):
        version = make_published([node("only", "test.source")], owner=user)
        reading = client_of(user, Scope.GRAPHS_READ)
        of_one_graph = client_of(user, Scope.EXECUTIONS_START, graph_id=version.graph_id)

        answers = [ask(one, "split-text-block", inputs={"text": "a"}) for one in (reading, of_one_graph)]

        assert {(answer.status_code, answer.data["code"]) for answer in answers} == {(403, "SCOPE_MISSING")}
