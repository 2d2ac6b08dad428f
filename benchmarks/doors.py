"""Doors whose accepting is measured: what is sent to each, how it is answered, and what must be there first."""

from __future__ import annotations

import json
import time
from typing import Any, Protocol
from uuid import uuid4

from benchmarks.posting import as_request

PAYLOAD = {
    "event": "order.created",
    "order": {"id": 1042, "total": "18.50", "items": [{"name": "Green tea", "count": 2}] * 5},
}


class Door(Protocol):
    """An address that takes what is sent to it."""

    #: The settings of its web, if they are not ours, and the status of an answer that has taken it.
    settings: str
    accepted: int
    #: Whether what it takes starts an execution.
    starts: bool

    def prepare(self) -> None:
        """Make what it writes to."""
        ...

    def request(self, number: int, *, port: int) -> bytes:
        """Return a request that was not sent before."""
        ...


class WebhookDoor:
    """A webhook, signed as GitHub signs; each delivery starts an execution."""

    settings, accepted, starts = "", 202, True
    _webhook: Any
    _secret: str

    def prepare(self) -> None:
        """Publish a graph, and make its webhook."""
        from executions import own_webhooks

        graph = _published("payload")
        self._webhook, self._secret = own_webhooks.create(graph=graph, name="bench", scheme="github")

    def request(self, number: int, *, port: int) -> bytes:
        """Return a delivery with an id of its own."""
        from integrations import signatures

        body = json.dumps({**PAYLOAD, "number": number}).encode()
        headers = signatures.sign(body, self._secret, self._webhook.scheme, at=time.time(), delivery_id=str(uuid4()))
        return as_request(self._webhook.path, body, headers, port=port)


class StartDoor:
    """`POST /executions/` with an API key and an `Idempotency-Key` of its own for each, as docs/api.md says to ask."""

    settings, accepted, starts = "", 202, True
    _graph_id: str
    _key: str

    def prepare(self) -> None:
        """Publish a graph, and issue a key that may start it and no more."""
        from access import keyring
        from access.scopes import Scope

        graph = _published("order")
        self._graph_id = str(graph.pk)
        _, self._key = keyring.issue(owner_id=graph.owner_id, name="bench", scopes=[Scope.EXECUTIONS_START])

    def request(self, number: int, *, port: int) -> bytes:
        """Return a start."""
        body = json.dumps({"graph": self._graph_id, "inputs": {"order": {**PAYLOAD, "number": number}}}).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": str(uuid4())}
        return as_request("/api/v1/executions/", body, headers, port=port)


class BareDoor:
    """A bare DRF view that inserts one row."""

    settings, accepted, starts = "benchmarks.bare_settings", 201, False

    def prepare(self) -> None:
        """Create the table."""
        from django.db import connection

        from benchmarks.bare import CREATE_TABLE

        with connection.cursor() as cursor:
            cursor.execute(CREATE_TABLE)

    def request(self, number: int, *, port: int) -> bytes:
        """Return a row to insert."""
        return as_request("/rows", json.dumps({"value": {**PAYLOAD, "number": number}}).encode(), {}, port=port)


def _published(name: str) -> Any:
    """Return a graph that gives what it is given, of an owner of its own."""
    from django.contrib.auth import get_user_model

    from graphs import services
    from graphs.documents import GraphModel, LinkModel, NodeModel

    owner = get_user_model()._default_manager.create(username=f"bench of {name}")
    given = NodeModel(id="given", block_id="input-block", inputs={"name": name})
    out = NodeModel(id="out", block_id="output-block", inputs={"name": "result"})
    link = LinkModel(source_id="given", source_name="output", sink_id="out", sink_name="input")
    graph = services.create(owner_id=owner.pk, document=GraphModel(name=name, nodes=[given, out], links=[link]))
    services.publish(graph)
    return graph
