"""What is stored of a graph: versions of nodes and links, frozen once published.

The database itself refuses what must never be: links between versions, a change of a published version. It also does
the cascades (hence `DO_NOTHING`): rows of a published version may go only when their whole graph goes. A unique
constraint that begins with the foreign key stands in for its index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from agentplatform.lib.one_graph import only_graph_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class OnError(models.TextChoices):
    """What a failing firing without a linked `error` pin means for the execution."""

    FAIL = "fail", "fail the execution"
    CONTINUE = "continue", "treat as skipped"


class GraphQuerySet(models.QuerySet["Graph"]):
    """Graphs, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> GraphQuerySet:
        """Return the graphs of `user`; nobody who is not logged in has any."""
        mine = self.filter(owner_id=user.pk) if user.pk is not None else self.none()
        only = only_graph_of(user)
        return mine.filter(pk=only) if only else mine


class GraphVersionQuerySet(models.QuerySet["GraphVersion"]):
    """Versions, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> GraphVersionQuerySet:
        """Return the versions of the graphs of `user`."""
        mine = self.filter(graph__owner_id=user.pk) if user.pk is not None else self.none()
        only = only_graph_of(user)
        return mine.filter(graph_id=only) if only else mine

    def published(self) -> GraphVersionQuerySet:
        """Return the versions that can be executed and never change, newest first."""
        return self.filter(published_at__isnull=False).order_by("-number")

    def drafts(self) -> GraphVersionQuerySet:
        """Return the versions that are still being drawn."""
        return self.filter(published_at__isnull=True)


class Graph(models.Model):
    """What a user drew, through all its versions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="graphs")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    is_archived = models.BooleanField(default=False)
    #: So many of its executions run at the same time, the rest waits in line; None leaves that to the limit of the owner.
    max_concurrent = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)

    objects = GraphQuerySet.as_manager()

    class Meta:
        db_table = "graphs_graph"
        indexes = [models.Index(fields=["owner", "-id"], name="graphs_graph_newest_of_owner")]
        constraints = [
            models.CheckConstraint(condition=Q(max_concurrent__gte=1), name="a_graph_may_run_at_least_once_at_a_time")
        ]

    def __str__(self) -> str:
        return self.name


class GraphVersion(models.Model):
    """A draft, or one published state of a graph: numbered, with a checksum, never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    graph = models.ForeignKey(
        Graph, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="versions"
    )
    number = models.PositiveIntegerField(null=True, blank=True)
    checksum = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(default=now, editable=False)
    published_at = models.DateTimeField(null=True, blank=True)
    #: What its blocks may ask, as `host` or `host:port`; None: anything that may be asked at all.
    allowed_hosts: ArrayField[list[str] | None, list[str] | None] = ArrayField(
        models.CharField(max_length=300), null=True, blank=True
    )

    objects = GraphVersionQuerySet.as_manager()

    class Meta:
        db_table = "graphs_graphversion"
        verbose_name = "version"
        constraints = [
            models.UniqueConstraint(fields=["graph", "number"], name="a_version_number_is_unique_in_its_graph"),
            models.UniqueConstraint(
                fields=["graph"], condition=Q(published_at__isnull=True), name="a_graph_has_at_most_one_draft"
            ),
            models.CheckConstraint(
                condition=Q(published_at__isnull=True, number__isnull=True, checksum="")
                | (Q(published_at__isnull=False, number__gte=1) & ~Q(checksum="")),
                name="a_published_version_has_a_number_and_a_checksum",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.graph} v{self.number}" if self.is_published else f"{self.graph} (draft)"

    @property
    def is_published(self) -> bool:
        """Say whether this version is frozen."""
        return self.published_at is not None


class Node(models.Model):
    """One block in a version of a graph, with the constants on its pins."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(
        GraphVersion, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="nodes"
    )
    key = models.CharField(max_length=64)
    #: Indexed for "where is this block used"; blocks are code, so there is no row to point at.
    block_id = models.CharField(max_length=200, db_index=True)
    title = models.CharField(max_length=200, blank=True, default="")
    inputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(blank=True, default=dict)
    on_error = models.CharField(max_length=16, choices=OnError.choices, default=OnError.FAIL)
    #: How often a failing firing is tried, whole as it was when it was saved; None takes what the block says.
    retry: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True, blank=True)
    timeout_s = models.FloatField(null=True, blank=True)
    #: By provider, the id of the credential that it is asked with; it may be gone by now, so there is no foreign key.
    credentials: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(
        blank=True, default=dict, db_default={}
    )
    #: What the block declared when the version was published (`BlockFacts`): what is under way goes on by these.
    facts: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(
        null=True, blank=True, editable=False
    )
    position_x = models.FloatField(default=0)
    position_y = models.FloatField(default=0)
    metadata: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(blank=True, default=dict)

    #: The place of the node in its document.
    order = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "graphs_node"
        ordering = ["version", "order", "key"]
        indexes = [
            # For "where is this credential used".
            GinIndex(fields=["credentials"], opclasses=["jsonb_path_ops"], name="nodes_by_credential")
        ]
        constraints = [
            models.UniqueConstraint(fields=["version", "key"], name="a_node_key_is_unique_in_its_version"),
            # Behind the links' foreign keys, which hold both ends to one version.
            models.UniqueConstraint(fields=["version", "id"], name="a_node_belongs_to_one_version"),
            models.CheckConstraint(condition=Q(on_error__in=OnError.values), name="a_node_fails_or_continues"),
            models.CheckConstraint(condition=Q(timeout_s__gt=0), name="a_node_has_time_to_run"),
        ]

    def __str__(self) -> str:
        return self.title or self.key


class Link(models.Model):
    """A way for values from an output pin of one node to an input pin of another."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(
        GraphVersion, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="links"
    )
    source = models.ForeignKey(Node, on_delete=models.DO_NOTHING, db_constraint=False, related_name="links_out")
    source_pin = models.CharField(max_length=400)
    sink = models.ForeignKey(Node, on_delete=models.DO_NOTHING, db_constraint=False, related_name="links_in")
    sink_pin = models.CharField(max_length=400)
    is_static = models.BooleanField(default=False)
    #: The place of the link in its document: values that meet on one pin are taken in this order.
    order = models.PositiveIntegerField()

    class Meta:
        db_table = "graphs_link"
        ordering = ["version", "order"]
        constraints = [models.UniqueConstraint(fields=["version", "order"], name="a_link_has_its_own_place")]

    def __str__(self) -> str:
        return f"{self.source_pin} -> {self.sink_pin}"
