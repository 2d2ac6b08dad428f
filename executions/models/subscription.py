"""Addresses that are told what happens to executions, and what each was told."""

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

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

MAX_URL, MAX_EVENT = 2_000, 64


class OutgoingStatus(models.TextChoices):
    """How far a delivery has come that goes out."""

    #: It is sent at `next_at`, for the first time or once more.
    PENDING = "PENDING", "pending"
    DELIVERED = "DELIVERED", "delivered"
    #: It is not tried any more.
    FAILED = "FAILED", "failed"


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    """Subscriptions, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> SubscriptionQuerySet:
        """Return the subscriptions of `user`; nobody who is not logged in has any."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()


class Subscription(models.Model):
    """An address of its owner's that is told what happens to their executions. Its secret is shown when it is made, and never again."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscriptions", db_index=False
    )
    #: Only what happens to executions of this one is told; none: to all.
    graph = models.ForeignKey(
        "graphs.Graph", on_delete=models.CASCADE, null=True, blank=True, related_name="subscriptions"
    )
    name = models.CharField(max_length=200)
    url = models.TextField()
    #: What is told, an event or all of a kind; nothing here: everything.
    events = ArrayField(models.CharField(max_length=MAX_EVENT), default=list, blank=True)
    secret = SealedField(editable=False)
    last4 = models.CharField(max_length=4, blank=True, default="", editable=False)
    #: The secret before, with which is signed too until then.
    previous_secret = SealedField(null=True, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_enabled = models.BooleanField(default=True)
    #: Why it is off; and since when.
    disabled_reason = models.CharField(max_length=64, blank=True, default="", editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: How many attempts have failed since one last did not.
    failures = models.PositiveIntegerField(default=0, editable=False)
    #: When one last did not.
    heard_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    #: When the secret was last written.
    changed_at = models.DateTimeField(default=now, editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        db_table = "executions_subscription"
        indexes = [
            models.Index(fields=["owner", "-id"], name="subscriptions_newest_of_owner"),
            # What each execution looks at that begins or ends.
            models.Index(fields=["owner"], condition=Q(is_enabled=True), name="subscriptions_to_tell"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(previous_secret__isnull=True) | Q(previous_until__isnull=False),
                name="a_secret_signed_with_too_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(is_enabled=True, disabled_reason="") | (Q(is_enabled=False) & ~Q(disabled_reason="")),
                name="a_subscription_that_is_off_says_why",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def secrets_at(self, moment: datetime) -> list[str]:
        """Return the secrets to sign with at a moment."""
        secrets = [self.secret.reveal()]
        if self.previous_secret is not None and self.previous_until and moment < self.previous_until:
            secrets.append(self.previous_secret.reveal())
        return secrets


class OutgoingDelivery(models.Model):
    """What a subscription is told of one event: written in one transaction with the event, by a trigger; sent until it is heard."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.CharField(max_length=MAX_EVENT)
    #: To what it has happened: an execution, a wait, or to itself if it is a test. No constraint, as months of executions are dropped.
    subject_id = models.UUIDField(editable=False)
    execution_id = models.UUIDField(null=True, blank=True, editable=False)
    payload: models.JSONField[Any, Any] = models.JSONField(default=dict)
    #: How many deliveries led to this one, itself among them.
    hops = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=16, choices=OutgoingStatus.choices, default=OutgoingStatus.PENDING)
    #: How often it was tried in all: what an attempt writes counts only as long as none has come after it.
    attempts = models.PositiveIntegerField(default=0)
    #: How often since it was last begun anew.
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True)
    #: Whoever is at it has it until then.
    leased_until = models.DateTimeField(null=True, blank=True)
    #: Since when it is tried, in this round.
    begun_at = models.DateTimeField(default=now)
    #: What came of the last attempt.
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    #: The beginning of what was answered.
    answer = models.TextField(blank=True, default="")
    #: The latest attempts, the newest last.
    log: models.JSONField[list[dict[str, Any]], list[dict[str, Any]]] = models.JSONField(default=list)
    created_at = models.DateTimeField(default=now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "executions_outgoingdelivery"
        verbose_name_plural = "outgoing deliveries"
        indexes = [
            models.Index(fields=["subscription", "-id"], name="outgoing_newest_of_subscr"),
            models.Index(
                fields=["subscription", "next_at"], condition=Q(status=OutgoingStatus.PENDING), name="outgoing_to_send"
            ),
            models.Index(fields=["leased_until"], condition=Q(leased_until__isnull=False), name="outgoing_under_way"),
            models.Index(
                fields=["execution_id"], condition=Q(execution_id__isnull=False), name="outgoing_of_execution"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "subject_id", "event"], name="an_event_is_told_to_each_once"
            ),
            models.CheckConstraint(
                condition=Q(status__in=OutgoingStatus.values), name="an_outgoing_delivery_has_a_known_status"
            ),
            models.CheckConstraint(
                condition=Q(status=OutgoingStatus.PENDING, next_at__isnull=False, ended_at__isnull=True)
                | (~Q(status=OutgoingStatus.PENDING) & Q(next_at__isnull=True, ended_at__isnull=False)),
                name="only_what_has_not_ended_is_sent",
            ),
        ]

    def __str__(self) -> str:
        return self.event
