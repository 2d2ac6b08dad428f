"""Addresses that others send to, and what came there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from agentplatform.lib.clock import now
from agentplatform.lib.crypto import SealedField
from agentplatform.lib.ids import uuid7
from integrations.signatures import SignatureScheme

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

MAX_EVENT, MAX_KEY = 200, 200
#: How the key of a delivery begins that its sender has named.
NAMED = "id:"


class DeliveryStatus(models.TextChoices):
    """What became of a delivery."""

    ACCEPTED = "ACCEPTED", "accepted"
    #: Firings waited for it, and go on with it; nothing new was started.
    ANSWERED = "ANSWERED", "answered"
    IGNORED = "IGNORED", "ignored"
    REFUSED = "REFUSED", "refused"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    """Webhooks, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> WebhookQuerySet:
        """Return the webhooks of `user`; nobody who is not logged in has any."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()


class Webhook(models.Model):
    """An address that starts a graph for whoever signs what he sends. Its secret is written and never shown again."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    graph = models.ForeignKey("graphs.Graph", on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=200)
    scheme = models.CharField(max_length=32, choices=[(scheme.value, scheme.value) for scheme in SignatureScheme])
    secret = SealedField(editable=False)
    last4 = models.CharField(max_length=4, blank=True, default="", editable=False)
    #: The secret before, which is still taken until then.
    previous_secret = SealedField(null=True, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    #: What does not begin with one of these is ignored; nothing here: everything is taken.
    events = ArrayField(models.CharField(max_length=MAX_EVENT), default=list, blank=True)
    #: By input of the graph, where in a delivery its value is.
    mapping: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict, blank=True)
    #: The event as which a delivery is given to those who wait for it, before it starts anything; empty: to nobody.
    event_name = models.CharField(
        max_length=MAX_EVENT,
        blank=True,
        default="",
        db_default="",
        help_text="Who waits for this event is given what comes; only if nobody does, the graph is started.",
    )
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)
    #: When the secret was last written.
    changed_at = models.DateTimeField(default=now, editable=False)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        db_table = "executions_webhook"
        indexes = [models.Index(fields=["owner", "-id"], name="webhooks_newest_of_owner")]
        constraints = [
            models.CheckConstraint(
                condition=Q(scheme__in=[scheme.value for scheme in SignatureScheme]),
                name="a_webhook_has_a_known_scheme",
            ),
            models.CheckConstraint(
                condition=Q(previous_secret__isnull=True) | Q(previous_until__isnull=False),
                name="a_secret_that_was_replaced_has_an_end",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """Return where it is, below the address of the installation."""
        return f"/webhooks/{self.pk}"

    def secrets_at(self, moment: datetime) -> list[str]:
        """Return the secrets that are good at a moment."""
        secrets = [self.secret.reveal()]
        if self.previous_secret is not None and self.previous_until and moment < self.previous_until:
            secrets.append(self.previous_secret.reveal())
        return secrets


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> DeliveryQuerySet:
        """Return what came to the webhooks of `user`."""
        return self.filter(webhook__owner_id=user.pk) if user.pk is not None else self.none()


class Delivery(models.Model):
    """What came to a webhook with a good signature, once however often it was sent; and what became of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    #: By what the same delivery is known when it comes again.
    key = models.CharField(max_length=MAX_KEY, editable=False)
    #: Whether the sender gave it that name; otherwise it is made of what came.
    is_named = models.BooleanField(default=True, editable=False)
    #: SHA-256 of the body.
    digest = models.CharField(max_length=64, editable=False)
    event = models.CharField(max_length=MAX_EVENT, blank=True, default="")
    status = models.CharField(max_length=16, choices=DeliveryStatus.choices)
    #: Why it was ignored or refused.
    reason = models.CharField(max_length=64, blank=True, default="")
    message = models.TextField(blank=True, default="")
    #: No constraint, as months of executions are dropped.
    execution_id = models.UUIDField(null=True, blank=True, editable=False)
    #: The delivery that was started once more.
    replay_of = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="replays", editable=False
    )
    payload: models.JSONField[Any, Any] = models.JSONField(null=True, blank=True)
    #: Those that say what came; none that prove who sent it.
    headers: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict, blank=True)
    size_bytes = models.PositiveIntegerField(default=0)
    #: How many deliveries led to this one, each sent by what the one before had started.
    hops = models.PositiveSmallIntegerField(default=0)
    received_at = models.DateTimeField(default=now, editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "executions_delivery"
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["webhook", "-id"], name="deliveries_newest_of_webhook")]
        constraints = [
            models.UniqueConstraint(fields=["webhook", "key"], name="a_delivery_is_taken_once"),
            models.UniqueConstraint(
                fields=["execution_id"],
                condition=Q(execution_id__isnull=False),
                name="an_execution_is_of_one_delivery",
            ),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="a_delivery_has_a_known_status"),
            models.CheckConstraint(
                condition=Q(status=DeliveryStatus.ACCEPTED, execution_id__isnull=False)
                | (~Q(status=DeliveryStatus.ACCEPTED) & Q(execution_id__isnull=True)),
                name="an_accepted_delivery_has_its_execution",
            ),
        ]

    def __str__(self) -> str:
        return self.event or str(self.pk)

    @property
    def given_id(self) -> str:
        """Return the id that its sender gave it; nothing if it has none."""
        return self.key.removeprefix(NAMED) if self.key.startswith(NAMED) else ""
