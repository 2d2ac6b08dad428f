"""API keys: what tells whose they are and what they open, and of the key itself only a digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from access.scopes import Scope
from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> ApiKeyQuerySet:
        """Return the keys of `user`."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()

    def good(self) -> ApiKeyQuerySet:
        """Return those that open something: not revoked, not expired, of somebody who may still log in."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=now()), revoked_at__isnull=True, owner__is_active=True
        )


class ApiKey(models.Model):
    """A key to the API: random, so that its SHA-256 is all that needs to be kept of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    #: Its first characters, by which people know it.
    prefix = models.CharField(max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    #: Of the key before, which is good until a moment: so that all who use it can be told of the new one.
    old_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    old_until = models.DateTimeField(null=True, blank=True, editable=False)
    scopes: ArrayField[list[str], list[str]] = ArrayField(
        models.CharField(max_length=32, choices=[(one.value, one.value) for one in Scope]), default=list
    )
    #: It opens this graph and its executions only.
    graph = models.ForeignKey("graphs.Graph", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    #: Networks from which it may be used, as `203.0.113.0/24`; none: from anywhere.
    networks: ArrayField[list[str], list[str]] = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    #: The digest of the text that it was found by, which may be the one before.
    found_by: str = ""

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "access_apikey"
        verbose_name = "API key"
        indexes = [
            models.Index(fields=["owner", "-id"], name="api_keys_of_owner"),
            models.Index(fields=["old_digest"], condition=~Q(old_digest=""), name="api_keys_before"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_good(self) -> bool:
        """Say whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now())
