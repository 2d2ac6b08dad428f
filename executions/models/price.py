"""What a million tokens of a model cost, from a moment on."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from agentplatform.lib.money import show
from executions.engine.pricing import MAX_MICROCREDITS, Price


class TokenPrice(models.Model):
    """A dated price. Once in force it never changes, as executions were charged by it: a new one takes its place.

    In the database a trigger guards that.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.CharField(max_length=64)
    model = models.CharField(
        max_length=200, help_text="Its name, of any edition; with a * at the end, all models that begin so."
    )
    input_microcredits = models.BigIntegerField(help_text="For a million tokens that a model is given.")
    cached_microcredits = models.BigIntegerField(
        null=True, blank=True, help_text="For a million of these that the provider had kept; empty: like the others."
    )
    output_microcredits = models.BigIntegerField(help_text="For a million tokens that a model makes.")
    valid_from = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True, default="", help_text="Where it was read, and when.")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "executions_tokenprice"
        ordering = ["provider", "model", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "model", "valid_from"], name="a_model_has_one_price_at_a_time"),
            models.CheckConstraint(
                condition=Q(input_microcredits__range=(0, MAX_MICROCREDITS))
                & Q(output_microcredits__range=(0, MAX_MICROCREDITS))
                & Q(cached_microcredits__gte=0),
                name="a_price_can_be_counted",
            ),
            models.CheckConstraint(
                condition=Q(input_microcredits__gte=Coalesce(F("cached_microcredits"), 0)),
                name="what_is_cached_costs_no_more",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}: {show(self.input_microcredits)} in, {show(self.output_microcredits)} out"

    def as_price(self) -> Price:
        """Return it as the engine reads it."""
        cached = self.input_microcredits if self.cached_microcredits is None else self.cached_microcredits
        return Price(
            self.provider, self.model, self.input_microcredits, self.output_microcredits, cached, self.valid_from
        )
