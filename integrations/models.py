"""What is stored of a credential: what it is for, who may use it, and the secret itself, encrypted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agentplatform.lib.clock import now
from agentplatform.lib.crypto import SealedField
from agentplatform.lib.ids import uuid7
from integrations.providers import AuthKind

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

#: So long before its end a credential is called expiring.
EXPIRING = timedelta(days=14)
#: Of the limits of a credential: once a day at least.
MOST_CONCURRENT = 10_000
LOWEST_RATE, HIGHEST_RATE = 0.00001, 100_000
KINDS = [(kind.value, kind.value) for kind in AuthKind]


class CredentialQuerySet(models.QuerySet["Credential"]):
    """Credentials, and the ways to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> CredentialQuerySet:
        """Return the credentials of `user`; nobody who is not logged in has any."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()

    def usable_by(self, user_id: int) -> CredentialQuerySet:
        """Return what the graphs of a user may use: their own, and what a group of theirs shares; not what was revoked."""
        shared = Q(group__in=Group.objects.filter(user=user_id))
        return self.filter(Q(owner_id=user_id) | shared, revoked_at__isnull=True)

    def seen_by(self, user_id: int) -> CredentialQuerySet:
        """Return what a user is shown: all of their own, and what their graphs may use."""
        return self.filter(
            Q(owner_id=user_id) | Q(group__in=Group.objects.filter(user=user_id), revoked_at__isnull=True)
        )

    def connected(self) -> CredentialQuerySet:
        """Return those that can be used: of the kind oauth2, what somebody has allowed something."""
        return self.filter(~Q(kind=AuthKind.OAUTH2.value) | Q(grant__isnull=False))

    def good(self) -> CredentialQuerySet:
        """Return those that have not expired."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=Now()))


class Credential(models.Model):
    """A key to a provider. Its secret is written and never shown: the last four characters and a fingerprint tell which it is."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="credentials")
    #: Whose graphs may use it too.
    group = models.ForeignKey("auth.Group", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=200)
    provider = models.CharField(max_length=32)
    kind = models.CharField(max_length=16, choices=KINDS)
    secret = SealedField(editable=False)
    last4 = models.CharField(max_length=4, blank=True, default="", editable=False)
    fingerprint = models.CharField(max_length=16, blank=True, default="", editable=False)
    #: Where its provider is asked; empty: at the usual address.
    base_url = models.CharField(max_length=500, blank=True, default="")
    #: Where it may be sent; empty: to its own address, or its provider's hosts.
    allowed_hosts: ArrayField[list[str], list[str]] = ArrayField(
        models.CharField(max_length=300), default=list, blank=True
    )
    #: So many may use it at once, and so often a second it may be sent, by all workers together; nothing: as its provider says.
    max_concurrent = models.PositiveIntegerField(null=True, blank=True)
    rate_per_second = models.FloatField(null=True, blank=True)
    #: When the provider stops taking it. Of a token that can be replaced, see the grant.
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    #: When the secret was last written.
    changed_at = models.DateTimeField(default=now, editable=False)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        db_table = "integrations_credential"
        indexes = [
            models.Index(fields=["owner", "provider", "-id"], name="credentials_of_owner"),
            models.Index(
                fields=["group", "provider", "-id"], condition=Q(group__isnull=False), name="credentials_of_group"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(max_concurrent__isnull=True) | Q(max_concurrent__range=(1, MOST_CONCURRENT)),
                name="a_credential_is_used_by_one_or_more_at_once",
            ),
            models.CheckConstraint(
                condition=Q(rate_per_second__isnull=True) | Q(rate_per_second__range=(LOWEST_RATE, HIGHEST_RATE)),
                name="a_credential_is_sent_now_and_then_at_least",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def hint(self) -> str:
        """Return what tells it from others without telling it."""
        return f"…{self.last4}" if self.last4 else self.fingerprint

    @property
    def is_connected(self) -> bool:
        """Say whether it can be used: of the kind oauth2, whether somebody has allowed it something."""
        return self.kind != AuthKind.OAUTH2 or hasattr(self, "grant")

    @property
    def is_expired(self) -> bool:
        """Say whether its provider takes it no longer."""
        return self.expires_at is not None and self.expires_at <= now()

    @property
    def is_expiring(self) -> bool:
        """Say whether it will soon be of no use."""
        return self.expires_at is not None and now() < self.expires_at <= now() + EXPIRING


class Grant(models.Model):
    """What somebody has allowed a credential of the kind oauth2: the tokens, and who is getting new ones just now."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    credential = models.OneToOneField(Credential, on_delete=models.CASCADE, related_name="grant")
    #: `access_token` and `refresh_token`.
    tokens = SealedField(editable=False)
    #: Of the access token; None: it is used until it is refused.
    expires_at = models.DateTimeField(null=True)
    #: So long it is used without another being got.
    fresh_until = models.DateTimeField(null=True)
    #: Grows with each token that is stored: what was asked for before a newer one came is not stored any more.
    generation = models.PositiveIntegerField(default=1)
    #: The provider replaces refresh tokens; None: it has not been seen yet.
    is_rotating = models.BooleanField(null=True)
    #: A refresh token is being shown: nobody else may show it until then.
    refreshing_until = models.DateTimeField(null=True)
    #: Why no new token can be had; empty: one can.
    failure = models.CharField(max_length=300, blank=True, default="")
    connected_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "integrations_grant"

    def __str__(self) -> str:
        return f"grant {self.generation} of {self.credential_id}"

    def is_fresh(self, at: datetime) -> bool:
        """Say whether the access token need not be replaced yet."""
        return self.fresh_until is None or self.fresh_until > at

    def is_good(self, at: datetime) -> bool:
        """Say whether the access token has not ended."""
        return self.expires_at is None or self.expires_at > at
