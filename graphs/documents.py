"""A graph as a document: built in code, read from JSON or YAML, written to them, stored as a draft and loaded again."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self, TypeVar
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
    with_config,
)
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from agentplatform.lib.clock import now
from agentplatform.lib.credential_hosts import is_entry
from blocks.sdk import Retry
from blocks.sdk.retry import MAX_ATTEMPTS, MAX_DELAY_S, MAX_FACTOR, check_code
from graphs import named, structure, texts
from graphs.errors import DocumentRefused, GraphInvalid, GraphNotFound, OwnerNotFound, Problem
from graphs.models import Graph, GraphVersion, Link, Node

#: Written into every document, so that a later form can be told from this one.
FORMAT: Literal[1] = 1
#: What is stored at all; how many may be published is the operator's setting.
MAX_NODES, MAX_LINKS = 10_000, 50_000
#: A node may name so many error codes to be retried.
MAX_CODES = 50
#: A node may name credentials for so many providers.
MAX_CREDENTIALS = 20
MAX_HOSTS = 100
#: A firing runs no longer than a day; what takes longer is a wait.
MAX_TIMEOUT_S = 86_400.0

_USUAL = Retry()


def _plain(value: Any) -> Any:
    try:
        texts.check_plain(value)
    except DocumentRefused as error:
        raise ValueError(error.message + (f" (at {error.path})" if error.path else "")) from None
    return value


def _host_entry(text: str) -> str:
    if not is_entry(text):
        raise ValueError("write it as `host` or `host:port`")
    return text


HostEntry = Annotated[str, StringConstraints(max_length=300), AfterValidator(_plain), AfterValidator(_host_entry)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
PinAddress = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_plain)]
PlainDict = Annotated[dict[str, Any], AfterValidator(_plain)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_plain)]
Title = Annotated[str, StringConstraints(max_length=200), AfterValidator(_plain)]
ProviderKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,32}$")]
ErrorCode = Annotated[str, AfterValidator(check_code)]
Prose = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_plain)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
class Position(TypedDict):
    """Where a node is drawn."""

    x: float
    y: float


def new_key() -> str:
    """Return a short key for a node that was given none: a letter first, so that no syntax takes it for a number."""
    return f"n{uuid4().hex[:11]}"


class RetryModel(_Part):
    """How often a failing node is tried, and after what delays; what is left out has its default."""

    attempts: int = Field(default=_USUAL.attempts, ge=1, le=MAX_ATTEMPTS)
    delay_s: float = Field(default=_USUAL.delay_s, ge=0, le=MAX_DELAY_S)
    factor: float = Field(default=_USUAL.factor, ge=1, le=MAX_FACTOR)
    max_delay_s: float = Field(default=_USUAL.max_delay_s, ge=0, le=MAX_DELAY_S)
    jitter: float = Field(default=_USUAL.jitter, ge=0, le=1)
    on: list[ErrorCode] = Field(default_factory=list, max_length=MAX_CODES)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self.as_retry()
        return self

    def as_retry(self) -> Retry:
        """Return the policy.

        Raises:
            ValueError: its parts do not fit together.
        """
        return Retry(**{**self.model_dump(), "on": tuple(self.on)})

    def as_data(self) -> dict[str, Any]:
        """Return the exported form: what has its default is left out."""
        usual = RetryModel()
        own = {name: value for name, value in self.model_dump().items() if value != getattr(usual, name)}
        return {name: _short(value) if isinstance(value, float) else value for name, value in own.items()}


class NodeModel(_Part):
    """A node: the block it runs, and the constants on its pins."""

    id: Key = Field(default_factory=new_key)
    block_id: Name
    title: Title = ""
    inputs: PlainDict = Field(default_factory=dict)
    on_error: Literal["fail", "continue"] = "fail"
    retry: RetryModel | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)
    #: By provider, the credential it is asked with. Whose they are is checked when the graph is saved; exports leave them out.
    credentials: dict[ProviderKey, UUID] = Field(default_factory=dict, max_length=MAX_CREDENTIALS)
    position: Position = Field(default_factory=lambda: Position(x=0, y=0))
    metadata: PlainDict = Field(default_factory=dict)

    def as_data(self, *, with_credentials: bool = False) -> dict[str, Any]:
        """Return the exported form: what has its default is left out, and the ids of credentials, unless they are asked for."""
        data: dict[str, Any] = {"id": self.id, "block_id": self.block_id}
        data |= {"title": self.title} if self.title else {}
        data |= {"inputs": _sorted(self.inputs)} if self.inputs else {}
        data |= {"on_error": self.on_error} if self.on_error != "fail" else {}
        data |= {"retry": self.retry.as_data()} if self.retry is not None else {}
        data |= {"timeout_s": _short(self.timeout_s)} if self.timeout_s is not None else {}
        if with_credentials and self.credentials:
            data["credentials"] = {name: str(self.credentials[name]) for name in sorted(self.credentials)}
        data |= {"position": {"x": _short(self.position["x"]), "y": _short(self.position["y"])}}
        return data | ({"metadata": _sorted(self.metadata)} if self.metadata else {})


class LinkModel(_Part):
    """A link from an output pin (`source_name`) of one node to an input pin (`sink_name`) of another."""

    source_id: Key
    sink_id: Key
    source_name: PinAddress
    sink_name: PinAddress
    is_static: bool = False

    def as_data(self) -> dict[str, Any]:
        """Return the exported form: what has its default is left out."""
        source = {"source_id": self.source_id, "source_name": self.source_name}
        sink = {"sink_id": self.sink_id, "sink_name": self.sink_name}
        return source | sink | ({"is_static": True} if self.is_static else {})


class GraphFile(_Part):
    """A graph as it stands in a file: nothing in it says whose it is."""

    format: Literal[1] = FORMAT
    name: Name
    description: Prose = ""
    #: What its blocks may ask; None: anything that may be asked at all. An empty list is nothing.
    allowed_hosts: list[HostEntry] | None = Field(default=None, max_length=MAX_HOSTS)
    nodes: list[NodeModel] = Field(default_factory=list, max_length=MAX_NODES)
    links: list[LinkModel] = Field(default_factory=list, max_length=MAX_LINKS)


class GraphModel(GraphFile):
    """A graph built in code for a user. Saved with an `id`, it updates that graph of theirs; without, it makes one."""

    id: UUID | None = None
    user_id: str | int | None = None

    @classmethod
    def read(cls, data: Any) -> Self:
        """Return the graph in data that came from outside.

        Raises:
            GraphInvalid: with everything about its form that is wrong.
        """
        file = _checked(GraphFile, data)
        return cls(
            name=file.name,
            description=file.description,
            allowed_hosts=file.allowed_hosts,
            nodes=file.nodes,
            links=file.links,
        )

    @classmethod
    def load(cls, version: GraphVersion) -> Self:
        """Return the graph as it is in `version`, under the name it has now."""
        graph, rows = version.graph, list(version.nodes.all())
        keys = {row.pk: row.key for row in rows}
        return cls(
            id=graph.pk,
            user_id=graph.owner_id,
            name=graph.name,
            description=graph.description,
            allowed_hosts=version.allowed_hosts,
            nodes=[_node_of(row) for row in rows],
            links=[_link_of(row, keys) for row in version.links.all()],
        )

    def as_data(self, *, with_credentials: bool = False) -> dict[str, Any]:
        """Return the exported form: stable, and readable in a diff. It names no credential, unless its owner is to go on with it."""
        data: dict[str, Any] = {"format": FORMAT, "name": self.name}
        data |= {"description": self.description} if self.description else {}
        data |= {} if self.allowed_hosts is None else {"allowed_hosts": self.allowed_hosts}
        return data | {
            "nodes": [node.as_data(with_credentials=with_credentials) for node in self.nodes],
            "links": [link.as_data() for link in self.links],
        }

    def checksum(self) -> str:
        """Return the fingerprint of the nodes and links; the name of a graph may change and is no part of a version."""
        data = self.as_data(with_credentials=True)
        parts = {name: part for name, part in data.items() if name not in ("name", "description")}
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    async def save(self) -> Graph:
        """Store this as the draft of a graph of `user_id`, and return the graph.

        Raises:
            GraphInvalid: it can not be stored: two nodes have one key, a link leads to no node, a form is wrong, a
                credential is not theirs.
            OwnerNotFound: there is no such user.
            GraphNotFound: the user has no graph with this `id`.
        """
        return await sync_to_async(store)(self)


def parse(text: str | bytes, syntax: texts.Syntax) -> GraphModel:
    """Return the graph in a text of JSON or YAML.

    Raises:
        DocumentRefused: it is not such a text, or is too large or too deep.
        GraphInvalid: with everything about its form that is wrong.
    """
    return GraphModel.read(texts.parse(text, syntax))


def write(document: GraphModel, syntax: texts.Syntax) -> str:
    """Return the graph as JSON or YAML text; the same graph gives the same text."""
    return texts.write(document.as_data(), syntax)


def store(document: GraphModel) -> Graph:
    """Do what `GraphModel.save` promises, without waiting."""
    # Its lists may have grown since it was checked: that is how a graph is built in code.
    checked = _checked(GraphModel, document.model_dump())
    if problems := structure.unstorable(checked):
        raise GraphInvalid(problems)
    owner_id = _owner_id(checked)
    if problems := named.problems(checked, owner_id=owner_id) + named.secrets_in(checked, owner_id=owner_id):
        raise GraphInvalid(problems)
    with transaction.atomic():
        graph = _locked_graph(checked, owner_id)
        _replace_draft(graph, checked)
    document.id = graph.pk
    return graph


def _locked_graph(document: GraphModel, owner_id: Any) -> Graph:
    about = {"name": document.name, "description": document.description}
    if document.id is None:
        return Graph.objects.create(owner_id=owner_id, **about)
    graph = Graph.objects.select_for_update().filter(owner_id=owner_id, pk=document.id).first()
    if graph is None:
        raise GraphNotFound(f"There is no graph {document.id}.")
    graph.name, graph.description, graph.updated_at = document.name, document.description, now()
    graph.save(update_fields=["name", "description", "updated_at"])
    return graph


def _owner_id(document: GraphModel) -> Any:
    users, asked = get_user_model(), document.user_id
    try:
        found = users._default_manager.filter(pk=asked).first() if asked is not None else None
    except (ValueError, OverflowError, DjangoValidationError):
        found = None  # no such user can have this id
    if found is None:
        raise OwnerNotFound(f"There is no user {asked!r}.")
    return found.pk


def _replace_draft(graph: Graph, document: GraphModel) -> None:
    graph.versions.drafts().delete()
    draft = GraphVersion.objects.create(graph=graph, allowed_hosts=document.allowed_hosts)
    rows = {node.id: _node_row(draft, order, node) for order, node in enumerate(document.nodes)}
    Node.objects.bulk_create(rows.values(), batch_size=1000)
    links = [
        Link(
            version=draft,
            source=rows[link.source_id],
            source_pin=link.source_name,
            sink=rows[link.sink_id],
            sink_pin=link.sink_name,
            is_static=link.is_static,
            order=order,
        )
        for order, link in enumerate(document.links)
    ]
    Link.objects.bulk_create(links, batch_size=1000)


def _node_row(version: GraphVersion, order: int, node: NodeModel) -> Node:
    return Node(
        version=version,
        key=node.id,
        block_id=node.block_id,
        title=node.title,
        inputs=node.inputs,
        on_error=node.on_error,
        retry=node.retry.model_dump() if node.retry is not None else None,
        timeout_s=node.timeout_s,
        credentials={provider: str(id_) for provider, id_ in node.credentials.items()},
        position_x=node.position["x"],
        position_y=node.position["y"],
        metadata=node.metadata,
        order=order,
    )


def _node_of(row: Node) -> NodeModel:
    return NodeModel(
        id=row.key,
        block_id=row.block_id,
        title=row.title,
        inputs=row.inputs,
        on_error="continue" if row.on_error == "continue" else "fail",
        retry=RetryModel.model_validate(row.retry) if row.retry is not None else None,
        timeout_s=row.timeout_s,
        credentials={provider: UUID(id_) for provider, id_ in row.credentials.items()},
        position=Position(x=row.position_x, y=row.position_y),
        metadata=row.metadata,
    )


def _link_of(row: Link, keys: dict[UUID, str]) -> LinkModel:
    return LinkModel(
        source_id=keys[row.source_id],
        source_name=row.source_pin,
        sink_id=keys[row.sink_id],
        sink_name=row.sink_pin,
        is_static=row.is_static,
    )


Document = TypeVar("Document", bound=GraphFile)


def _checked(model: type[Document], data: Any) -> Document:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise GraphInvalid(
            _problem(one, data) for one in error.errors(include_url=False, include_input=False)
        ) from None


_MAPPING = ("BAD_VALUE", "It has to be keys with values.", "Compare it with a graph that is exported.")
#: What pydantic finds, in words that know no Python: code, message and hint.
_TOLD = {
    "extra_forbidden": ("UNKNOWN_KEY", "There is no such key.", "Remove it, or correct its name."),
    "missing": ("MISSING_KEY", "This key is missing.", "Add it, with its value."),
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "string_type": (
        "BAD_VALUE",
        "It has to be a text.",
        "Put it in quotes: without, YAML reads `yes`, `no`, `on`, `off` and numbers as something else.",
    ),
}


def _problem(error: ErrorDetails, data: Any) -> Problem:
    place = error["loc"]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    node = ""
    if (
        len(place) > 1
        and place[0] == "nodes"
        and isinstance(place[1], int)
        and isinstance(data["nodes"][place[1]], dict)
    ):
        node = str(data["nodes"][place[1]].get("id", ""))[:64]
    code, message, hint = _TOLD.get(error["type"], ("BAD_VALUE", f"{error['msg']}.", "Correct its value."))
    return Problem(code, path, node, message, hint)


def _sorted(value: Any) -> Any:
    """Return `value` with the keys of every dict in order; Postgres does not keep the order they were written in."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _short(number: float) -> int | float:
    return int(number) if float(number).is_integer() else number
