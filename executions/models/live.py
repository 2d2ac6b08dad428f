"""In which order an execution's events are told to those who watch it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class LiveEvent(models.Model):
    """One event of one execution, and its number: what it says stands in the rows it refers to, which do not change any more.

    Written only when somebody watches: by whoever reads, never by a worker. Partitioned by month on `execution_id`.
    """

    pk = models.CompositePrimaryKey("execution_id", "number")
    execution_id = models.UUIDField(editable=False)
    #: 1, 2, 3 and so on: without a gap within its execution.
    number = models.IntegerField()
    kind = models.CharField(max_length=32)
    #: Empty where it is of the execution itself.
    node_key = models.CharField(max_length=64, blank=True, default="")
    item_path = ArrayField(models.IntegerField(), default=list)
    #: Which of its kind at that firing: an attempt, a wait, a note.
    mark = models.CharField(max_length=64, blank=True, default="")
    attempt = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        db_table = "executions_liveevent"
        constraints = [
            models.UniqueConstraint(
                fields=["execution_id", "kind", "node_key", "item_path", "mark"], name="an_event_is_told_once"
            ),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="the_first_event_is_number_one"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"


class StatusNote(models.Model):
    """A change of an execution's status that its row does not remember: waiting, going on, pausing, being cancelled.

    Written by a trigger, so that no door can forget it. An execution that just runs and ends has none.
    """

    id = models.BigAutoField(primary_key=True)
    execution_id = models.UUIDField(editable=False)
    kind = models.CharField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        db_table = "executions_statusnote"
        indexes = [models.Index(fields=["execution_id", "id"], name="status_notes_of_execution")]

    def __str__(self) -> str:
        return self.kind
