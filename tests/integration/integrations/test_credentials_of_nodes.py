"""A node names the credential it asks with: of its owner's, checked when it is saved, published, started, and run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from blocks import registry
from executions import services as executions
from executions.engine.status import Status
from executions.errors import CredentialsMissing
from executions.retrying import Ask
from graphs import services as graphs
from graphs.documents import GraphModel
from graphs.errors import GraphInvalid
from graphs.models import Graph, Node
from integrations import services
from tests.factories import document_of, make_published, make_user
from tests.keys import (
    KEYED,
    TellsKey,
    TellsOtherKey,
    asking,
    make_credential,
    make_group,
    mark,
    new_secret,
    ran_version,
    ran_with,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    registry.register(*KEYED)
    services.forget()
    yield
    services.forget()


@pytest.fixture
def owner():
    return make_user()


def shown(owner) -> APIClient:
    client = APIClient()
    client.force_authenticate(owner)
    return client


class TestOfSeveral:
    def test_each_node_asks_with_the_one_it_names(self, owner):
        secrets = [new_secret(), new_secret(), new_secret()]
        first, second, _ = (make_credential(owner, secret) for secret in secrets)

        execution, rows = ran_with(
            owner, asking("a", uses=first), asking("b", uses=second), asking("c"), asking("d", uses=first)
        )

        assert execution.status == Status.SUCCEEDED
        told = {key: row.outputs["output"][0] for key, row in rows.items()}
        # Without a name it is the newest.
        assert told == {"a": mark(secrets[0]), "b": mark(secrets[1]), "c": mark(secrets[2]), "d": mark(secrets[0])}

    def test_is_shown_to_the_owner_and_never_exported(self, owner):
        credential = make_credential(owner)
        version = make_published([asking("a", uses=credential)], owner=owner)
        graph = Graph.objects.get(pk=version.graph_id)

        answer = shown(owner).get(f"/api/v1/graphs/{graph.pk}/")

        assert answer.data["document"]["nodes"][0]["credentials"] == {"openai": str(credential.pk)}
        assert answer.data["credentials"] == [
            {"node": "a", "provider": "openai", "credential_id": str(credential.pk), "is_there": True}
        ]
        for text in [
            graphs.export_document(graph, syntax="yaml"),
            graphs.export_document(graph, syntax="json"),
            shown(owner).get(f"/api/v1/graphs/{graph.pk}/export/").content.decode(),
        ]:
            assert str(credential.pk) not in text
            assert "credentials" not in text

    def test_another_choice_is_another_version(self, owner):
        first, second = make_credential(owner), make_credential(owner)
        version = make_published([asking("a", uses=first)], owner=owner)
        document = GraphModel.load(version)

        document.nodes[0].credentials = {"openai": second.pk}
        graphs.save_draft(version.graph, document)

        assert graphs.publish(version.graph).number == 2

    def test_explain_lists_what_a_graph_needs(self, owner):
        credential = make_credential(owner)
        version = make_published([asking("a", uses=credential), asking("b", TellsOtherKey)], owner=owner)

        call_command("explain", str(version.graph_id), stdout=(said := StringIO()))

        assert f"a  openai, the one with the id {credential.pk}" in said.getvalue()
        assert "b  github" in said.getvalue()


class TestSomebodyElses:
    """S13: another's id in the body."""

    @pytest.fixture
    def theirs(self):
        return make_credential(make_user())

    def test_is_not_saved(self, owner, theirs):
        with pytest.raises(GraphInvalid) as refused:
            graphs.create(owner_id=owner.pk, document=document_of([asking("a", uses=theirs)]))

        (problem,) = refused.value.problems
        assert (problem.code, problem.path) == ("CREDENTIAL_NOT_FOUND", "nodes[0].credentials.openai")
        assert not Graph.objects.exists()

    @pytest.mark.parametrize("verb", ["create", "update", "validate"])
    def test_is_answered_like_one_that_does_not_exist(self, owner, theirs, verb):
        graph = graphs.create(owner_id=owner.pk, document=document_of([asking("a")]))
        said = []
        for id_ in (theirs.pk, uuid4()):
            document = {"format": 1, "name": "n", "nodes": [{"id": "a", "block_id": TellsKey.id}]}
            document["nodes"][0] |= {"inputs": {"input": 1}, "credentials": {"openai": str(id_)}}
            address = {"create": "", "update": f"{graph.pk}/", "validate": "validate/"}[verb]
            call = shown(owner).put if verb == "update" else shown(owner).post
            answer = call(f"/api/v1/graphs/{address}", document)
            said.append((answer.status_code, str(answer.json()).replace(str(id_), "…")))

        assert said[0] == said[1]
        assert "CREDENTIAL_NOT_FOUND" in said[0][1]
        assert (Graph.objects.count(), Node.objects.get().credentials) == (1, {})

    def test_is_not_used_if_it_comes_to_be_somebody_elses(self, owner, theirs):
        group = make_group(owner, theirs.owner)
        services.update(theirs, group=group)
        version = make_published([asking("a", uses=theirs)], owner=owner)
        assert ran_version(version)[0].status == Status.SUCCEEDED

        owner.groups.clear()
        services.forget()
        execution, rows = ran_version(version)

        assert (execution.status, rows["a"].error_code) == (Status.FAILED, "CREDENTIAL_NOT_FOUND")
        with pytest.raises(CredentialsMissing):
            executions.start(version_id=version.pk, owner_id=owner.pk)

    def test_is_looked_at_again_when_the_draft_is_published(self, owner, theirs):
        services.update(theirs, group=make_group(owner, theirs.owner))
        graph = graphs.create(owner_id=owner.pk, document=document_of([asking("a", uses=theirs)]))

        owner.groups.clear()
        services.forget()

        with pytest.raises(GraphInvalid, match="no credential"):
            graphs.publish(graph)


class TestMissing:
    def test_is_refused_before_anything_runs_with_all_its_places(self, owner):
        expired = make_credential(owner, provider="openai", expires_at=now() + timedelta(hours=1))
        version = make_published([asking("a", uses=expired), asking("b", TellsOtherKey)], owner=owner)
        services.update(expired, expires_at=now() - timedelta(seconds=1))

        with pytest.raises(CredentialsMissing) as refused:
            executions.start(version_id=version.pk, owner_id=owner.pk)

        assert {(one.code, one.path) for one in refused.value.problems} == {
            ("CREDENTIAL_EXPIRED", "nodes.a.credentials.openai"),
            ("CREDENTIAL_MISSING", "nodes.b.credentials.github"),
        }
        answer = shown(owner).post("/api/v1/executions/", {"graph": str(version.graph_id)})
        assert answer.status_code == 422
        assert answer.json()["code"] == "CREDENTIAL_MISSING"
        assert {one["node"] for one in answer.json()["errors"]} == {"a", "b"}

    def test_is_told_when_a_document_is_checked(self, owner):
        nodes = [{"id": "b", "block_id": TellsOtherKey.id, "inputs": {"input": 1}}]

        answer = shown(owner).post("/api/v1/graphs/validate/", {"format": 1, "name": "n", "nodes": nodes})

        assert answer.data["credentials"] == [
            {"node": "b", "provider": "github", "credential_id": None, "is_there": False}
        ]

    def test_can_be_added_and_is_there_at_once(self, owner):
        version = make_published([asking("b", TellsOtherKey)], owner=owner)
        with pytest.raises(CredentialsMissing):
            executions.start(version_id=version.pk, owner_id=owner.pk)

        make_credential(owner, provider="github")

        assert executions.start(version_id=version.pk, owner_id=owner.pk).pk

    def test_keeps_an_ended_execution_from_being_retried(self, owner):
        version = make_published([asking("b", TellsOtherKey)], owner=owner)
        execution, rows = ran_version(version)
        assert (execution.status, rows["b"].error_code) == (Status.FAILED, "CREDENTIAL_MISSING")

        with pytest.raises(CredentialsMissing):
            executions.retry(execution, Ask(), owner_id=owner.pk)

    def test_a_provider_that_the_block_does_not_ask_is_no_place_for_a_credential(self, owner):
        credential = make_credential(owner, provider="github")
        document = document_of([asking("a")])
        document.nodes[0].credentials = {"github": credential.pk}

        (problem,) = graphs.problems_of(document, owner_id=owner.pk)

        assert (problem.code, problem.path) == ("CREDENTIAL_UNUSED", "nodes[0].credentials.github")


class TestOwnKeys:
    def test_are_not_paid_here_and_what_they_used_is_kept(self, owner):
        make_credential(owner)

        execution, rows = ran_with(owner, asking("a"))

        assert (execution.status, execution.cost_microcredits) == (Status.SUCCEEDED, 0)
        assert rows["a"].usage["input_tokens"] == 3

    def test_of_the_platform_are_paid(self, owner):
        execution, rows = ran_with(owner, asking("a"))

        assert (execution.status, rows["a"].cost_microcredits) == (Status.SUCCEEDED, 500_000)

    def test_need_no_credit(self, owner, settings):
        settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS = 0
        assert ran_with(owner, asking("a"))[0].status == Status.BUDGET_EXCEEDED

        make_credential(owner)
        services.forget()

        assert ran_with(owner, asking("a"))[0].status == Status.SUCCEEDED


class TestUsedBy:
    def test_lists_the_nodes_of_drafts_and_newest_versions(self, owner):
        credential, other = make_credential(owner), make_credential(owner)
        version = make_published([asking("a", uses=credential), asking("b", uses=other)], owner=owner)
        document = GraphModel.load(version)
        document.nodes[0].credentials = {"openai": other.pk}
        graphs.save_draft(version.graph, document)

        def used_by(one) -> list[tuple[int | None, str]]:
            answer = shown(owner).get(f"/api/v1/credentials/{one.pk}/used-by/")
            return sorted(((use["version"], use["node"]) for use in answer.data), key=str)

        assert used_by(credential) == [(1, "a")]
        assert used_by(other) == [(1, "b"), (None, "a"), (None, "b")]

        graphs.publish(version.graph)

        assert used_by(credential) == []
        assert used_by(other) == [(2, "a"), (2, "b")]
