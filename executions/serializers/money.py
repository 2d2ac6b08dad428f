"""Money as the API shows it: entries, balances, budgets, estimates and reports."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer, TextField, WithoutSlips
from agentplatform.lib.money import show
from executions.engine.money import MOST_MICROCREDITS, BudgetPeriod, BudgetScope
from executions.estimates import Basis
from executions.ledger import Balance
from executions.models import Budget, LedgerEntry
from executions.reports import By
from executions.serializers.executions import CostField, CostSerializer


class EntrySerializer(serializers.ModelSerializer[LedgerEntry]):
    """A transfer from one account to another."""

    time = serializers.DateTimeField(source="created_at", read_only=True)
    amount = CostField(source="amount_microcredits", read_only=True)
    debit = serializers.CharField(source="debit.kind", read_only=True, help_text="The account that it leaves.")
    credit = serializers.CharField(source="credit.kind", read_only=True, help_text="The account that it reaches.")
    execution = serializers.UUIDField(source="execution_id", read_only=True, allow_null=True)
    outermost_execution = serializers.UUIDField(source="root_id", read_only=True, allow_null=True)
    graph = serializers.UUIDField(source="graph_id", read_only=True, allow_null=True)
    node = serializers.CharField(source="node_key", read_only=True, help_text="The key of a node; empty without one.")
    item = serializers.CharField(source="shown_path", read_only=True)

    class Meta:
        model = LedgerEntry
        fields = [
            "id",
            "time",
            "kind",
            "amount",
            "debit",
            "credit",
            "execution",
            "outermost_execution",
            "graph",
            "node",
            "item",
            "attempt",
            "key",
            "note",
        ]
        read_only_fields = fields


class BalanceSerializer(serializers.Serializer[Balance]):
    """What you have."""

    credit = CostField(source="credit_microcredits", help_text="What is left; below zero where you may owe.")
    held = CostField(source="held_microcredits", help_text="Set aside for firings that run just now.")
    overdraft = serializers.SerializerMethodField(
        help_text="How far the credit may fall below zero; null: without end."
    )
    available = serializers.SerializerMethodField(help_text="What can still be set aside; null: without end.")

    def get_overdraft(self, balance: Balance) -> dict[str, Any] | None:
        """Return the overdraft."""
        return _amount(balance.overdraft_microcredits)

    def get_available(self, balance: Balance) -> dict[str, Any] | None:
        """Return what can be spent."""
        return _amount(balance.available_microcredits)


class BudgetSerializer(WithoutSlips, serializers.ModelSerializer[Budget]):
    """A limit to what something of yours may cost."""

    scope = serializers.ChoiceField(
        choices=[scope.value for scope in BudgetScope], help_text="What is limited, with all that it starts."
    )
    scope_id = TextField(
        max_length=64, default="", allow_blank=True, help_text="The id of your graph or execution; else nothing."
    )
    period = serializers.ChoiceField(
        choices=[period.value for period in BudgetPeriod],
        default=BudgetPeriod.NONE.value,
        help_text="`NONE`: all of it together. `DAY`: anew at each midnight UTC.",
    )
    limit_microcredits = serializers.IntegerField(
        min_value=0, max_value=MOST_MICROCREDITS, help_text="Millionths of a US dollar."
    )
    limit = CostField(source="limit_microcredits", read_only=True)
    spent = CostField(source="spent_now_microcredits", read_only=True)
    held = CostField(source="held_microcredits", read_only=True)
    remaining = CostField(source="remaining_microcredits", read_only=True)

    class Meta:
        model = Budget
        fields = [
            "id",
            "scope",
            "scope_id",
            "period",
            "limit_microcredits",
            "limit",
            "spent",
            "held",
            "remaining",
            "created_at",
        ]
        read_only_fields = ["id", "created_at"]
        validators: list[Any] = []


class LimitSerializer(AskSerializer[Any]):
    """Another limit; without one it stays as it is."""

    shown = frozenset(BudgetSerializer.Meta.fields)

    limit_microcredits = serializers.IntegerField(
        required=False, min_value=0, max_value=MOST_MICROCREDITS, help_text="Millionths of a US dollar."
    )


class SpreadSerializer(serializers.Serializer[Any]):
    """What half of all cost at the most, and what nineteen of twenty do."""

    p50 = CostField(source="p50_microcredits")
    p95 = CostField(source="p95_microcredits")


class NodeEstimateSerializer(serializers.Serializer[Any]):
    """What all firings of a node cost together."""

    node = serializers.CharField(source="key", help_text="The key of the node.")
    executions = serializers.IntegerField(help_text="So many executions it ran in.")
    cost = SpreadSerializer()
    held = serializers.SerializerMethodField(
        help_text="For each of its firings, by its constants; null: it names a model without a price."
    )

    def get_held(self, node: Any) -> dict[str, Any] | None:
        """Return what is held."""
        return _amount(node.held_microcredits)


class EstimateSerializer(serializers.Serializer[Any]):
    """What an execution is likely to cost, with its sub-graphs."""

    version = serializers.UUIDField(source="version_id")
    basis = serializers.ChoiceField(
        choices=[basis.value for basis in Basis],
        help_text="`version`: its latest executions. `graph`: those of other versions. `prices`: one firing of each node.",
    )
    executions = serializers.IntegerField(help_text="So many executions it goes by.")
    cost = SpreadSerializer()
    nodes = NodeEstimateSerializer(many=True)


class ReportAskSerializer(serializers.Serializer[Any]):
    """What to add up."""

    by = serializers.ChoiceField(choices=[by.value for by in By], default=By.DAY.value)
    since = serializers.DateTimeField(required=False, help_text="Thirty days ago, unless named.")
    until = serializers.DateTimeField(required=False, help_text="Earlier than this moment.")
    graph = serializers.UUIDField(required=False)


class UsedSerializer(serializers.Serializer[Any]):
    """What was used of one kind; which columns there are follows from `by`."""

    day = serializers.DateField(required=False, help_text="In UTC.")
    graph = serializers.UUIDField(source="graph_id", required=False)
    node = serializers.CharField(source="node_key", required=False)
    execution = serializers.UUIDField(source="root_id", required=False, help_text="With its sub-graphs.")
    cost = CostField(source="microcredits")
    charges = serializers.IntegerField(help_text="So many entries of the ledger it is the sum of.")


def _amount(microcredits: int | None) -> dict[str, Any] | None:
    shown = None if microcredits is None else {"microcredits": microcredits, "text": show(microcredits)}
    return shown and dict(CostSerializer(shown).data)
