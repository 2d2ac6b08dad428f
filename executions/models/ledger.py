"""Money: accounts, the transfers between them, what is set aside for firings that run, and budgets.

Nothing here refers to executions by a constraint: the ledger outlives them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from executions.engine.money import (
    MOVED,
    OF_OWNERS,
    OF_PLATFORM,
    USED,
    AccountKind,
    BudgetPeriod,
    BudgetScope,
    EntryKind,
)
from executions.presenting import show_path

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class AccountQuerySet(models.QuerySet["Account"]):
    """Accounts."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> AccountQuerySet:
        """Return the accounts of `user`."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()


class Account(models.Model):
    """Where micro-credits are: an owner's credit, what is held of it, or one of the platform's own accounts.

    Its id is `executions.engine.money.account_id`. Only an owner's accounts carry a balance: the platform's would be written by
    everybody at once, and are added up from the entries when somebody asks.
    """

    id = models.BigIntegerField(primary_key=True, editable=False)
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in AccountKind], editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="accounts",
        editable=False,
    )
    balance_microcredits = models.BigIntegerField(default=0, editable=False)
    #: How far the credit may go below zero; nothing here means without an end.
    overdraft_microcredits = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    objects = AccountQuerySet.as_manager()

    class Meta:
        db_table = "executions_account"
        constraints = [
            models.UniqueConstraint(fields=["owner", "kind"], name="an_owner_has_one_account_of_a_kind"),
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in OF_OWNERS], owner__isnull=False)
                | Q(kind__in=[k.value for k in OF_PLATFORM], owner__isnull=True),
                name="an_account_is_an_owners_or_the_platforms",
            ),
            models.CheckConstraint(
                condition=~Q(kind=AccountKind.HELD.value) | Q(balance_microcredits__gte=0),
                name="less_than_nothing_is_never_held",
            ),
            models.CheckConstraint(
                condition=~Q(kind=AccountKind.CREDIT.value)
                | Q(overdraft_microcredits__isnull=True)
                | Q(balance_microcredits__gte=-F("overdraft_microcredits")),
                name="credit_stays_within_its_overdraft",
            ),
            models.CheckConstraint(
                condition=Q(overdraft_microcredits__isnull=True) | Q(overdraft_microcredits__gte=0),
                name="an_overdraft_is_nothing_or_more",
            ),
            models.CheckConstraint(
                condition=Q(owner__isnull=False) | Q(balance_microcredits=0),
                name="the_platforms_accounts_carry_no_balance",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shown_kind} of {self.owner}" if self.owner_id else self.shown_kind

    @property
    def shown_kind(self) -> str:
        """Return what it is for, in words."""
        return _in_words(self.kind)


class LedgerEntryQuerySet(models.QuerySet["LedgerEntry"]):
    """Transfers."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> LedgerEntryQuerySet:
        """Return the transfers that concern `user`."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()


class LedgerEntry(models.Model):
    """A transfer from one account to another. Written once: a trigger refuses to change or remove it."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in EntryKind])
    #: No constraints: each transfer would lock the rows of the platform's accounts and of its owner.
    debit = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="debits", db_constraint=False, db_index=False
    )
    credit = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credits", db_constraint=False, db_index=False
    )
    amount_microcredits = models.BigIntegerField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="ledger_entries",
        db_constraint=False,
        db_index=False,
    )
    #: The firing it is for, and the claim under which that ran: the fence is another one for each.
    execution_id = models.UUIDField(null=True, blank=True)
    root_id = models.UUIDField(null=True, blank=True)
    graph_id = models.UUIDField(null=True, blank=True)
    node_key = models.CharField(max_length=64, blank=True, default="")
    item_path = ArrayField(models.IntegerField(), default=list, blank=True)
    attempt = models.PositiveSmallIntegerField(null=True, blank=True)
    fence = models.BigIntegerField(null=True, blank=True)
    #: Of what a person or a shop moves: the same key moves money once.
    key = models.CharField(max_length=200, blank=True, default="")
    note = models.TextField(blank=True, default="")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    created_at = models.DateTimeField(default=now, editable=False)

    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        db_table = "executions_ledgerentry"
        verbose_name_plural = "ledger entries"
        indexes = [
            models.Index(fields=["owner", "-id"], name="ledger_entries_of_owner"),
            # What people and shops have moved: few among very many.
            models.Index(
                fields=["owner", "-id"],
                condition=Q(kind__in=[k.value for k in MOVED]),
                name="ledger_moved_for_owner",
            ),
            # For reports: what an owner has used in a span of time, and what all have.
            models.Index(
                fields=["owner", "created_at"],
                condition=Q(kind__in=[k.value for k in USED]),
                name="ledger_used_by_owner",
            ),
            BrinIndex(fields=["created_at"], name="ledger_entries_by_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in EntryKind]), name="an_entry_has_a_known_kind"
            ),
            models.CheckConstraint(condition=Q(amount_microcredits__gt=0), name="an_entry_moves_something"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="an_entry_moves_from_one_account_to_another"),
            # Also what finds the entries of an execution. What ran without a claim has the fence 0.
            models.UniqueConstraint(
                fields=["execution_id", "fence", "kind", "node_key", "item_path"],
                name="a_claim_is_charged_once_of_a_kind",
                condition=Q(execution_id__isnull=False),
            ),
            models.UniqueConstraint(fields=["owner", "key"], condition=~Q(key=""), name="a_key_moves_money_once"),
        ]

    def __str__(self) -> str:
        return f"{self.shown_kind} of {show(self.amount_microcredits)}"

    @property
    def shown_kind(self) -> str:
        """Return why it has moved, in words."""
        return _in_words(self.kind)

    @property
    def shown_path(self) -> str:
        """Return the item path as people count: `#1`, `#2.3`; nothing for the plain path."""
        return show_path(self.item_path)


class Hold(models.Model):
    """What is set aside for a firing that was claimed: gone as soon as that claim is settled, given back or over."""

    fence = models.BigIntegerField(primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="holds", db_constraint=False, db_index=False
    )
    amount_microcredits = models.BigIntegerField()
    #: The budgets that it counts for.
    budget_ids = ArrayField(models.BigIntegerField(), default=list)
    execution_id = models.UUIDField()
    root_id = models.UUIDField()
    graph_id = models.UUIDField()
    node_key = models.CharField(max_length=64)
    item_path = ArrayField(models.IntegerField(), default=list)
    attempt = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "executions_hold"
        constraints = [
            models.UniqueConstraint(fields=["execution_id", "node_key", "item_path"], name="a_firing_is_held_for_once"),
            models.CheckConstraint(condition=Q(amount_microcredits__gt=0), name="a_hold_holds_something"),
        ]

    def __str__(self) -> str:
        return f"{self.node_key} of {str(self.execution_id)[:8]}"


class BudgetQuerySet(models.QuerySet["Budget"]):
    """Budgets."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> BudgetQuerySet:
        """Return the budgets of `user`."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()


class Budget(models.Model):
    """A limit to what outermost executions may cost, with all that they start: together, or each day anew."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="budgets")
    scope = models.CharField(max_length=16, choices=[(s.value, s.value) for s in BudgetScope])
    #: The id of the execution, graph or owner, or the fingerprint of the API key.
    scope_id = models.CharField(max_length=64)
    period = models.CharField(
        max_length=16, choices=[(p.value, p.value) for p in BudgetPeriod], default=BudgetPeriod.NONE.value
    )
    limit_microcredits = models.BigIntegerField()
    spent_microcredits = models.BigIntegerField(default=0, editable=False)
    held_microcredits = models.BigIntegerField(default=0, editable=False)
    #: The day, in UTC, on which that was spent.
    spent_on = models.DateField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    #: What it is for, where somebody has looked (`executions.budgeted.name_things`): a budget knows it by its id alone.
    thing: Any = None

    objects = BudgetQuerySet.as_manager()

    class Meta:
        db_table = "executions_budget"
        constraints = [
            models.UniqueConstraint(fields=["scope", "scope_id", "period"], name="a_scope_has_one_budget_of_a_period"),
            models.CheckConstraint(
                condition=Q(scope__in=[s.value for s in BudgetScope]), name="a_budget_has_a_known_scope"
            ),
            models.CheckConstraint(
                condition=Q(period__in=[p.value for p in BudgetPeriod]), name="a_budget_has_a_known_period"
            ),
            models.CheckConstraint(condition=Q(limit_microcredits__gte=0), name="a_budget_is_nothing_or_more"),
            models.CheckConstraint(
                condition=Q(spent_microcredits__gte=0, held_microcredits__gte=0),
                name="a_budget_counts_nothing_or_more",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shown_scope} {self.thing or self.scope_id}, {self.shown_period}"

    @property
    def shown_scope(self) -> str:
        """Return the kind of thing it is for, in words."""
        return "API key" if self.scope == BudgetScope.API_KEY else _in_words(self.scope)

    @property
    def shown_period(self) -> str:
        """Return for how long it counts, in words."""
        return "each day" if self.period == BudgetPeriod.DAY else "all together"

    @property
    def spent_now_microcredits(self) -> int:
        """Return what has been spent in the period that runs now."""
        is_over = self.period == BudgetPeriod.DAY and self.spent_on != now().date()
        return 0 if is_over else self.spent_microcredits

    @property
    def remaining_microcredits(self) -> int:
        """Return what may still be spent; never less than nothing."""
        return max(0, self.limit_microcredits - self.spent_now_microcredits - self.held_microcredits)


def _in_words(code: str) -> str:
    return code.replace("_", " ").capitalize()
