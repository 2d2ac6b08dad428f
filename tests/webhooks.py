"""Senders of webhooks, for tests: a webhook with its secret, and requests signed as others sign them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from executions import own_webhooks
from executions.engine.spec import LinkSpec
from executions.models import Webhook
from graphs.models import GraphVersion
from integrations import signatures
from tests.blocks import node
from tests.factories import make_published

DATA = Path(__file__).parent / "data" / "github"
SECRET = "a secret of thirty-two characters"


@dataclass(frozen=True)
class Sender:
    """Somebody who knows the secret of a webhook."""

    webhook: Webhook
    secret: str

    @property
    def url(self) -> str:
        """Where it sends to."""
        return f"/webhooks/{self.webhook.pk}"

    def headers(
        self, body: bytes, *, delivery_id: str = "one", at: float | None = None, **options: Any
    ) -> dict[str, str]:
        """Return the headers it would add to this body."""
        at = time.time() if at is None else at
        return signatures.sign(body, self.secret, self.webhook.scheme, at=at, delivery_id=delivery_id, **options)

    def send(self, payload: Any, *, event: str = "", headers: Mapping[str, str] | None = None, **signing: Any) -> Any:
        """Deliver a payload, as JSON unless it is bytes already."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        named = {"X-GitHub-Event": event} if event else {}
        return self.post(body, {**self.headers(body, **signing), **named, **(headers or {})})

    def post(self, body: bytes, headers: Mapping[str, str], content_type: str = "application/json") -> Any:
        """Deliver these bytes with these headers."""
        return Client().post(self.url, body, content_type=content_type, headers=dict(headers))


def make_sender(version: GraphVersion | None = None, scheme: str = "generic", **fields: Any) -> Sender:
    """Return somebody who sends to a new webhook: by default of a graph with one input, `payload`."""
    version = version or make_listener("payload")
    needs_own = scheme in ("stripe", "slack")
    webhook, secret = own_webhooks.create(
        graph=version.graph, name="hook", scheme=scheme, secret=SECRET if needs_own else "", **fields
    )
    return Sender(webhook, secret)


def make_listener(*names: str, owner: Any = None, **defaults: Any) -> GraphVersion:
    """Return the published version of a graph with these inputs, which gives back each as an output of the same name."""
    nodes, links = [], []
    for name in [*names, *defaults]:
        given = {"default": defaults[name]} if name in defaults else {}
        nodes += [
            node(f"in-{name}", "test.input", name=name, **given),
            node(f"out-{name}", "test.output", name=name),
        ]
        links.append(LinkSpec(f"in-{name}", "output", f"out-{name}", "input"))
    return make_published(nodes, links, owner)


def github_payload(event: str) -> Any:
    """Return what GitHub sends for an event, from its own examples."""
    return json.loads((DATA / f"{event}.json").read_text(encoding="utf-8"))


def as_form(payload: Any) -> bytes:
    """Return a payload as GitHub sends it where the webhook asks for forms."""
    return urlencode({"payload": json.dumps(payload)}).encode()
