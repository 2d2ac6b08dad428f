"""Trials of blocks as the API shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer, IdField
from executions.engine.money import MOST_MICROCREDITS
from executions.serializers.executions import NodeErrorSerializer
from executions.trials import USUAL_BUDGET_MICROCREDITS


class TrialAskSerializer(AskSerializer[Any]):
    """What to give the block; nothing runs its own examples."""

    inputs = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        required=False,
        help_text="By pin. Left out: its own examples are run.",
    )
    credentials = serializers.DictField(
        child=IdField(), default=dict, help_text="By provider, the id of a credential that you may use."
    )
    effects = serializers.BooleanField(default=False, help_text="It may act on the outside world.")
    budget_microcredits = serializers.IntegerField(
        default=USUAL_BUDGET_MICROCREDITS,
        min_value=0,
        max_value=MOST_MICROCREDITS,
        help_text="What it may cost at the most.",
    )


class TriedSerializer(serializers.Serializer[Any]):
    """What came of one of its own examples."""

    given = serializers.DictField(source="example.given")
    expected = serializers.SerializerMethodField(help_text="Pairs of a pin and a value; null stands for any value.")
    yielded = serializers.ListField(child=serializers.ListField())
    is_passed = serializers.BooleanField(
        allow_null=True, help_text="Null: it needs the outside world, and was left out. Give `inputs` to try that."
    )
    error = NodeErrorSerializer(allow_null=True)

    def get_expected(self, tried: Any) -> list[list[Any]]:
        """Return what it should give."""
        return [[pin, None if value is ... else value] for pin, value in tried.example.gives]


class TriedAllSerializer(serializers.Serializer[Any]):
    """What came of its own examples."""

    is_passed = serializers.BooleanField(help_text="None of those that were run gave something else.")
    examples = TriedSerializer(many=True)
