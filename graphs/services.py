"""What the doors may ask of graphs: save, check, publish, find, bring in and take out."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction

from agentplatform.lib.clock import now
from blocks import registry
from blocks.facts import BlockFacts
from graphs import documents, named, validation
from graphs.documents import GraphModel
from graphs.errors import (
    GraphInvalid,
    GraphNotFound,
    NothingToPublish,
    NotPublished,
    Problem,
    TemplateNotFound,
)
from graphs.models import Graph, GraphQuerySet, GraphVersion
from graphs.named import Need
from graphs.texts import Syntax

TEMPLATES = Path(__file__).parent / "templates"


def create(*, owner_id: Any, document: GraphModel) -> Graph:
    """Make a graph with `document` as its draft.

    Raises:
        GraphInvalid: the document can not even be a draft.
        OwnerNotFound: there is no such user.
    """
    document.id, document.user_id = None, owner_id
    return documents.store(document)


def save_draft(graph: Graph, document: GraphModel) -> Graph:
    """Make `document` the draft of `graph`, in the place of the draft there was, and take over its name.

    Raises:
        GraphInvalid: the document can not even be a draft.
    """
    document.id, document.user_id = graph.pk, graph.owner_id
    return documents.store(document)


def problems_of(document: GraphModel, *, owner_id: int | None = None) -> list[Problem]:
    """Return everything that keeps `document` from being published, by this owner if one is given."""
    found = validation.problems(document, max_nodes=settings.AGENTPLATFORM_MAX_NODES_PER_GRAPH)
    return found if owner_id is None else found + named.problems(document, owner_id=owner_id)


def needs_of(document: GraphModel, *, owner_id: int) -> list[Need]:
    """Return the credentials that the nodes of `document` need, and whether this owner has them."""
    return named.needs_of([(node.id, node) for node in document.nodes], owner_id=owner_id)


def publish(graph: Graph) -> GraphVersion:
    """Freeze the draft of `graph` as its next version. A draft that says what the latest version says changes nothing.

    Raises:
        GraphInvalid: the draft has problems; all are listed.
        NothingToPublish: there is neither a draft nor a version.
    """
    with transaction.atomic(durable=True):
        return _publish(_locked(graph))


def roll_back(graph: Graph, number: int) -> GraphVersion:
    """Publish what an earlier version says as the next one. A draft there is gives way to it, or stays where that can not be.

    Raises:
        GraphNotFound: there is no such version.
        GraphInvalid: it can not be published any more; all problems are listed.
    """
    with transaction.atomic(durable=True):
        locked = _locked(graph)
        save_draft(locked, GraphModel.load(find_version(locked, number)))
        return _publish(locked)


def archive(graph: Graph) -> None:
    """Put a graph away: it stays, with its executions, and lists leave it out that ask for what is in use."""
    Graph.objects.filter(pk=graph.pk).update(is_archived=True, updated_at=now())


def find_version(graph: Graph, number: int) -> GraphVersion:
    """Return a version by its number.

    Raises:
        GraphNotFound: there is none.
    """
    version = graph.versions.filter(number=number).first()
    if version is None:
        raise GraphNotFound(f"The graph {graph.name!r} has no version {number}.", hint="List its versions.")
    return version


def _locked(graph: Graph) -> Graph:
    """Return a graph with its lock, which numbers wait for, and whoever saves a draft."""
    return Graph.objects.select_for_update().get(pk=graph.pk)


def _publish(locked: Graph) -> GraphVersion:
    latest = locked.versions.published().first()
    draft = locked.versions.drafts().first()
    if draft is None:
        if latest is None:
            raise NothingToPublish
        return latest
    document = GraphModel.load(draft)
    if problems := problems_of(document, owner_id=locked.owner_id):
        raise GraphInvalid(problems)
    checksum = document.checksum()
    if latest is not None and latest.checksum == checksum:
        draft.delete()
        return latest
    _keep_facts(draft)
    draft.number = (latest.number or 0) + 1 if latest else 1
    draft.checksum, draft.published_at = checksum, now()
    draft.save(update_fields=["number", "checksum", "published_at"])
    return draft


def _keep_facts(draft: GraphVersion) -> None:
    """Write down what the blocks of a draft declare today: its executions are cut by that, whatever a later release says."""
    for block_id in draft.nodes.order_by().values_list("block_id", flat=True).distinct():
        draft.nodes.filter(block_id=block_id).update(facts=BlockFacts.of(registry.get(block_id)).as_data())


def export_document(graph: Graph, *, syntax: Syntax, number: int | None = None) -> str:
    """Return a version of `graph` as text: the one with this number, else what is drawn now.

    Raises:
        GraphNotFound: there is no such version.
    """
    version = drawn_version(graph) if number is None else find_version(graph, number)
    return documents.write(GraphModel.load(version), syntax)


def drawn_version(graph: Graph) -> GraphVersion:
    """Return what a person sees when they open the graph: its draft, else its latest version.

    Raises:
        NotPublished: there is neither.
    """
    return graph.versions.drafts().first() or latest_version(graph)


def latest_version(graph: Graph) -> GraphVersion:
    """Return the version that a new execution runs.

    Raises:
        NotPublished: there is none.
    """
    version = graph.versions.published().first()
    if version is None:
        raise NotPublished(f"The graph {graph.name!r} has no published version.")
    return version


def find(reference: str, *, among: GraphQuerySet | None = None) -> Graph:
    """Return the graph with this id, or the only one with this name, among all or those given.

    Raises:
        GraphNotFound: there is none, or the name belongs to several.
    """
    graphs = Graph.objects.all() if among is None else among
    named = graphs.filter(pk=reference) if _is_id(reference) else graphs.filter(name=reference).order_by("id")
    found = list(named[:10])
    if not found:
        raise GraphNotFound(f"There is no graph {reference!r}.")
    if len(found) > 1:
        ids = ", ".join(str(graph.pk) for graph in found)
        raise GraphNotFound(f"Several graphs are named {reference!r}.", hint=f"Give the id of one: {ids}.")
    return found[0]


def _is_id(reference: str) -> bool:
    try:
        UUID(reference)
    except ValueError:
        return False
    return True


async def create_dynamic_graph(user_id: str | int, template: str) -> Graph:
    """Make and publish a graph for a user from one of the shipped templates: `research` or `code-review`.

    Raises:
        TemplateNotFound: there is no such template.
        OwnerNotFound: there is no such user.
    """
    graph = template_document(template)
    graph.user_id = user_id
    stored = await graph.save()
    await sync_to_async(publish)(stored)
    return stored


def template_document(template: str) -> GraphModel:
    """Return a shipped template, to be changed and saved.

    Raises:
        TemplateNotFound: there is no such template.
    """
    shipped = {path.stem: path for path in sorted(TEMPLATES.glob("*.yaml"))}
    if template not in shipped:
        raise TemplateNotFound(f"There is no template {template!r}.", hint=f"There are: {', '.join(shipped)}.")
    return documents.parse(shipped[template].read_bytes(), "yaml")
