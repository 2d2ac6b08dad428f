"""What can be asked of webhooks: addresses that others send to, and what came there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import (
    DeliveryDetail,
    NewWebhook,
    PaginatedDeliveryList,
    PaginatedWebhookList,
    Webhook,
)

Id = str | UUID


def find(*, graph: Id | None = None, is_enabled: bool | None = None) -> Call[PaginatedWebhookList]:
    """Find webhooks, newest first."""
    return Call("GET", at("webhooks"), params=given(graph=graph and str(graph), is_enabled=is_enabled))


def get(webhook: Id) -> Call[Webhook]:
    """Look at one."""
    return Call("GET", at("webhooks", webhook))


def create(
    *,
    graph: Id,
    name: str,
    scheme: str | None = None,
    provider: str | None = None,
    secret: str | None = None,
    events: Sequence[str] = (),
    mapping: Mapping[str, str] | None = None,
    event_name: str | None = None,
) -> Call[NewWebhook]:
    """Make an address that starts a graph. The secret to sign with is in the answer, and in none after it."""
    body = given(
        graph=str(graph),
        name=name,
        scheme=scheme,
        provider=provider,
        secret=secret,
        events=list(events),
        mapping=mapping and dict(mapping),
        event_name=event_name,
    )
    return Call("POST", at("webhooks"), json=body)


def change(webhook: Id, **fields: Any) -> Call[Webhook]:
    """Change it, by the names of `create`, or turn it off and on with `is_enabled`."""
    return Call("PATCH", at("webhooks", webhook), json=given(**fields))


def delete(webhook: Id) -> Call[None]:
    """Take nothing more at this address, and forget what came."""
    return Call("DELETE", at("webhooks", webhook))


def rotate(webhook: Id, *, secret: str | None = None, overlap_s: int | None = None) -> Call[NewWebhook]:
    """Give it another secret; for a while the one before is taken too."""
    return Call("POST", at("webhooks", webhook, "rotate"), json=given(secret=secret, overlap_s=overlap_s))


def deliveries(
    webhook: Id,
    *,
    status: str | Sequence[str] | None = None,
    event: str | None = None,
    execution: Id | None = None,
) -> Call[PaginatedDeliveryList]:
    """Look at what came, newest first."""
    params = given(status=status, event=event, execution=execution and str(execution))
    return Call("GET", at("webhooks", webhook, "deliveries"), params=params)


def replay(webhook: Id, delivery: Id) -> Call[DeliveryDetail]:
    """Start once more what a delivery brought."""
    return Call("POST", at("webhooks", webhook, "deliveries", delivery, "replay"))
