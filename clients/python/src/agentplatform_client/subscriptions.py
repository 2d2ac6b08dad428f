"""What can be asked of subscriptions: who is told what happens to executions, and what went out to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import (
    NewSubscription,
    OutgoingDeliveryDetail,
    PaginatedOutgoingDeliveryList,
    PaginatedSubscriptionList,
    Resent,
    Subscription,
)

Id = str | UUID


def find(*, graph: Id | None = None, is_enabled: bool | None = None) -> Call[PaginatedSubscriptionList]:
    """Find subscriptions, newest first."""
    return Call("GET", at("subscriptions"), params=given(graph=graph and str(graph), is_enabled=is_enabled))


def get(subscription: Id) -> Call[Subscription]:
    """Look at one."""
    return Call("GET", at("subscriptions", subscription))


def create(
    *, url: str, name: str, events: Sequence[str] = (), graph: Id | None = None, is_enabled: bool | None = None
) -> Call[NewSubscription]:
    """Let an address be told what happens. The secret to verify with is in the answer, and in none after it."""
    body = given(url=url, name=name, events=list(events), graph=graph and str(graph), is_enabled=is_enabled)
    return Call("POST", at("subscriptions"), json=body)


def change(
    subscription: Id,
    *,
    name: str | None = None,
    url: str | None = None,
    events: Sequence[str] | None = None,
    is_enabled: bool | None = None,
) -> Call[Subscription]:
    """Change it, or turn it off and on."""
    body = given(name=name, url=url, events=None if events is None else list(events), is_enabled=is_enabled)
    return Call("PATCH", at("subscriptions", subscription), json=body)


def delete(subscription: Id) -> Call[None]:
    """Tell it nothing more, and forget what went out."""
    return Call("DELETE", at("subscriptions", subscription))


def rotate(subscription: Id, *, overlap_s: int | None = None) -> Call[NewSubscription]:
    """Give it another secret; for a while is signed with the one before too."""
    return Call("POST", at("subscriptions", subscription, "rotate"), json=given(overlap_s=overlap_s))


def ping(subscription: Id) -> Call[OutgoingDeliveryDetail]:
    """Send a test."""
    return Call("POST", at("subscriptions", subscription, "ping"))


def deliveries(
    subscription: Id,
    *,
    status: str | Sequence[str] | None = None,
    event: str | None = None,
    execution: Id | None = None,
) -> Call[PaginatedOutgoingDeliveryList]:
    """Look at what went out, newest first."""
    params = given(status=status, event=event, execution=execution and str(execution))
    return Call("GET", at("subscriptions", subscription, "deliveries"), params=params)


def delivery(subscription: Id, delivery: Id) -> Call[OutgoingDeliveryDetail]:
    """Look at one that went out: what it tells, and each attempt."""
    return Call("GET", at("subscriptions", subscription, "deliveries", delivery))


def resend(subscription: Id, delivery: Id) -> Call[OutgoingDeliveryDetail]:
    """Send one once more, under the same id."""
    return Call("POST", at("subscriptions", subscription, "deliveries", delivery, "resend"))


def resend_failed(subscription: Id, *, since: datetime) -> Call[Resent]:
    """Send once more all that were given up since a moment."""
    return Call("POST", at("subscriptions", subscription, "resend"), json={"since": since.astimezone().isoformat()})
