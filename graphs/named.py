"""The credentials that the nodes of a graph need: which they name, whether these are there, and which nodes name one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db.models import Max

from agentplatform.lib.errors import AppError
from blocks import registry
from graphs.errors import Problem
from graphs.models import Graph, Node
from graphs.structure import Drawing
from integrations import services as credentials
from integrations.errors import CredentialNotFound
from integrations.masks import mask_for
from integrations.uses import Use


class Asking(Protocol):
    """A node, as far as it asks somebody."""

    @property
    def block_id(self) -> str: ...
    @property
    def credentials(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Need:
    """A credential that a node needs: the one it names, or any for its provider."""

    node: str
    provider: str
    credential_id: UUID | None
    #: Why it can not be had; None: it is there.
    lacking: AppError | None = None

    @property
    def is_there(self) -> bool:
        """Say whether the node could be run."""
        return self.lacking is None


def needs_of(nodes: Iterable[tuple[str, Asking]], *, owner_id: int) -> list[Need]:
    """Return what these nodes need, each by its key, and whether their owner has it."""
    wanted = [(key, *want) for key, node in nodes for want in wants_of(node)]
    lacking = credentials.lacking(owner_id=owner_id, wanted={(provider, id_) for _, provider, id_ in wanted})
    return [Need(key, provider, id_, lacking.get((provider, id_))) for key, provider, id_ in wanted]


def wants_of(node: Asking) -> Iterator[credentials.Wanted]:
    """Yield the providers that a node asks, each with the credential it names."""
    try:
        asked = registry.get(node.block_id).credentials_required
    except AppError:
        return
    for provider in asked:
        id_ = node.credentials.get(provider)
        yield str(provider), UUID(str(id_)) if id_ else None


def problems(drawing: Drawing, *, owner_id: int) -> list[Problem]:
    """Return a problem for each credential that a node names and its owner may not use, or that is for another provider."""
    named = {(provider, id_) for node in drawing.nodes for provider, id_ in node.credentials.items()}
    lacking = credentials.lacking(owner_id=owner_id, wanted=named)
    return [
        Problem(error.code, f"nodes[{index}].credentials.{provider}", node.id, error.message, error.hint)
        for index, node in enumerate(drawing.nodes)
        for provider, id_ in node.credentials.items()
        if isinstance(error := lacking.get((provider, id_)), CredentialNotFound)
    ]


def secrets_in(drawing: Drawing, *, owner_id: int) -> list[Problem]:
    """Return a problem for each node in which a secret of its owner's credentials is written in the open."""
    mask = mask_for(owner_id)
    if mask.is_empty:
        return []
    hint = "Name the credential on the node instead: whatever is in a graph is shown, stored and exported."
    return [
        Problem("SECRET_IN_GRAPH", f"nodes[{index}]", node.id, "This node holds the secret of a credential.", hint)
        for index, node in enumerate(drawing.nodes)
        if mask.finds([node.id, node.title, node.inputs, node.metadata])
    ]


def uses_of(credential_id: UUID, provider: str) -> list[Use]:
    """Return the nodes that name a credential, in what is drawn and in the newest version of each graph."""
    naming = Node.objects.filter(credentials__contains={provider: str(credential_id)})
    found = naming.order_by("-version_id", "order").values_list(
        "version__graph_id", "version__graph__name", "version__graph__owner_id", "version__number", "key"
    )[: Use.MOST]
    graphs = Graph.objects.filter(pk__in={row[0] for row in found})
    newest = dict(graphs.annotate(latest_number=Max("versions__number")).values_list("pk", "latest_number"))
    return [
        Use(graph_id, name, owner_id, number, key)
        for graph_id, name, owner_id, number, key in found
        if number is None or number == newest.get(graph_id)
    ]
