"""What the doors may ask of webhooks: make, change, give another secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction

from agentplatform.lib.clock import now
from agentplatform.lib.crypto import Sealed
from executions import payloads
from executions.errors import WebhookInvalid
from executions.inputs import declared_inputs
from executions.models import Delivery, Webhook
from executions.models.webhook import MAX_EVENT
from executions.plans import plan_of
from graphs.models import Graph
from integrations import signatures
from integrations.signatures import SignatureScheme

#: Of what goes with a webhook, so much is removed in one statement.
AT_ONCE = 1_000
MOST_EVENTS, MOST_PLACES, LONGEST_PLACE = 100, 100, 500
#: So long the secret before is taken too, unless something else is asked for.
OVERLAP, LONGEST_OVERLAP = timedelta(days=1), timedelta(days=30)


def create(
    *,
    graph: Graph,
    name: str,
    scheme: str = SignatureScheme.GENERIC,
    secret: str = "",
    events: Sequence[str] = (),
    mapping: Mapping[str, str] | None = None,
    event_name: str = "",
    is_enabled: bool = True,
) -> tuple[Webhook, str]:
    """Make a webhook of the graph's owner. Return it with its secret, which nobody can ask for again.

    Raises:
        WebhookInvalid: a part of it is not what it should be; `path` says which.
        KeysMissing: nothing can be kept secret here.
    """
    webhook = Webhook(
        graph=graph,
        owner_id=graph.owner_id,
        name=name,
        scheme=scheme,
        events=list(events),
        mapping=dict(mapping or {}),
        event_name=event_name,
        is_enabled=is_enabled,
    )
    _check(webhook)
    secret = _sealed_in(webhook, secret)
    webhook.save(force_insert=True)
    return webhook, secret


def update(webhook: Webhook, **fields: Any) -> Webhook:
    """Change the name of a webhook, its events, its mapping, the event that it tells, or whether it is on.

    Raises:
        WebhookInvalid: as for a new one.
    """
    for name, value in fields.items():
        setattr(webhook, name, value)
    _check(webhook)
    webhook.save(update_fields=list(fields))
    return webhook


def rotate(webhook: Webhook, *, secret: str = "", overlap: timedelta = OVERLAP) -> str:
    """Give a webhook another secret, and return it; the one before is taken too until the overlap is over.

    Raises:
        WebhookInvalid: the secret can not be one, or is the one there is.
    """
    before = webhook.secret
    if secret and secret == before.reveal():
        raise WebhookInvalid("This is the secret it has.", path="secret")
    secret = _sealed_in(webhook, secret)
    webhook.previous_secret, webhook.previous_until = (before, now() + overlap) if overlap else (None, None)
    webhook.save(update_fields=["secret", "last4", "changed_at", "previous_secret", "previous_until"])
    return secret


def delete(webhook: Webhook) -> None:
    """Remove a webhook and all that came to it. What that has started stays."""
    # Piece by piece, once nothing more can come: there may be many, each with what it brought.
    Webhook.objects.filter(pk=webhook.pk).update(is_enabled=False)
    came = Delivery.objects.filter(webhook_id=webhook.pk)
    while ids := list(came.order_by("-id").values_list("pk", flat=True)[:AT_ONCE]):
        came.filter(pk__in=ids).delete()
    with transaction.atomic():
        # What still comes waits for this lock when it is written down, and finds no webhook then.
        list(Webhook.objects.select_for_update().filter(pk=webhook.pk).values_list("pk"))
        came.delete()
        Webhook.objects.filter(pk=webhook.pk).delete()


def _sealed_in(webhook: Webhook, secret: str) -> str:
    secret = secret or signatures.new_secret(webhook.scheme)
    if not secret:
        hint = "Copy the signing secret from the page where the sender shows it."
        raise WebhookInvalid(
            f"The secret of a {webhook.scheme} webhook is made by its sender.", path="secret", hint=hint
        )
    if not signatures.is_secret(secret, webhook.scheme):
        shortest, longest = signatures.SHORTEST_SECRET, signatures.LONGEST_SECRET
        form = "Base64" if webhook.scheme == SignatureScheme.STANDARD else "plain characters"
        raise WebhookInvalid(f"A secret has from {shortest} to {longest} of {form}.", path="secret")
    webhook.secret, webhook.last4, webhook.changed_at = Sealed(secret), secret[-4:], now()
    return secret


def _check(webhook: Webhook) -> None:
    if webhook.scheme not in set(SignatureScheme):
        schemes = ", ".join(SignatureScheme)
        raise WebhookInvalid(f"Webhooks are signed by one of these schemes: {schemes}.", path="scheme")
    if len(webhook.events) > MOST_EVENTS:
        raise WebhookInvalid(f"A webhook names at most {MOST_EVENTS} events.", path="events")
    for number, event in enumerate(webhook.events):
        if not 0 < len(event) <= MAX_EVENT:
            raise WebhookInvalid(f"An event has from 1 to {MAX_EVENT} characters.", path=f"events.{number}")
    if len(webhook.event_name) > MAX_EVENT:
        raise WebhookInvalid(f"The name of an event has at most {MAX_EVENT} characters.", path="event_name")
    _check_mapping(webhook)


def _check_mapping(webhook: Webhook) -> None:
    if len(webhook.mapping) > MOST_PLACES:
        raise WebhookInvalid(f"A mapping has at most {MOST_PLACES} inputs.", path="mapping")
    version = webhook.graph.versions.published().only("id").first()
    declared = declared_inputs(plan_of(version.pk)) if version else None
    for name, place in webhook.mapping.items():
        if declared is not None and name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise WebhookInvalid(f"The graph has no input {name!r}. It has: {known}.", path=f"mapping.{name}")
        if len(place) > LONGEST_PLACE or not payloads.is_place(place):
            hint = "Give a JSON pointer such as `/pull_request/title`, or `header:` and a name; nothing means all of the payload."
            raise WebhookInvalid(f"{place[:80]!r} leads nowhere.", path=f"mapping.{name}", hint=hint)
