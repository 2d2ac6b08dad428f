"""Forms of the console that move money or set what it is worth: each asks in US dollars and calls one function of the services."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from agentplatform.lib.money import MICROCREDITS_PER_CREDIT, microcredits
from agentplatform.lib.service_form import ServiceForm
from executions import ledger, own_budgets, prices
from executions.engine.money import MOST_MICROCREDITS, AccountKind, BudgetPeriod, BudgetScope, EntryKind, account_id
from executions.models import Account, Budget, LedgerEntry, TokenPrice

MOVES = {
    EntryKind.GRANT: ("Grant: give it", ledger.grant),
    EntryKind.TOP_UP: ("Top-up: it was bought", ledger.top_up),
    EntryKind.REFUND: ("Refund: give back what was paid", ledger.refund),
    EntryKind.ADJUSTMENT: ("Adjustment: put it right, either way", ledger.adjust),
}
MOST_USD = Decimal(MOST_MICROCREDITS) / MICROCREDITS_PER_CREDIT


def usd(*, least: Decimal | int = 0, **options: Any) -> forms.DecimalField:
    """Return a field for an amount of US dollars, to the micro-credit."""
    return forms.DecimalField(
        min_value=least,
        max_value=MOST_USD,
        max_digits=20,
        decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        **options,
    )


class OwnedForm(ServiceForm):
    """One that says whom it is for."""

    owner = forms.CharField(label="Owner", help_text="The name of a user.", widget=UnfoldAdminTextInputWidget())

    def clean_owner(self) -> AbstractUser:
        """Return the user of this name."""
        user = get_user_model()._default_manager.filter(username=self.cleaned_data["owner"].strip()).first()
        if user is None:
            raise forms.ValidationError("There is no user of this name.")
        return user


class MoveForm(OwnedForm):
    """Give an owner credit, or put it right."""

    what = forms.ChoiceField(
        label="What",
        choices=[(kind.value, title) for kind, (title, _) in MOVES.items()],
        widget=UnfoldAdminSelectWidget(),
    )
    amount = usd(least=-MOST_USD, label="US dollars", help_text="Below zero only to adjust.")
    note = forms.CharField(required=False, label="Note", widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    #: Made with the empty form: sent twice, it moves money once.
    key = forms.CharField(max_length=200, widget=forms.HiddenInput(), initial=lambda: f"console-{uuid4()}")
    paths: ClassVar[dict[str, str]] = {"microcredits": "amount"}

    class Meta:
        model = LedgerEntry
        fields: list[str] = []

    def carry_out(self) -> LedgerEntry:
        """Move it."""
        given = self.cleaned_data
        _, move = MOVES[EntryKind(given["what"])]
        return move(
            given["owner"].pk,
            int(given["amount"] * MICROCREDITS_PER_CREDIT),
            key=given["key"],
            note=given["note"],
            by_id=self.by_id,
        )


class OverdraftForm(ServiceForm):
    """Say how far the credit of an owner may fall below zero."""

    overdraft = usd(required=False, label="Overdraft in US dollars", help_text="Empty: without an end. 0: prepaid.")
    paths: ClassVar[dict[str, str]] = {"microcredits": "overdraft"}

    class Meta:
        model = Account
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.overdraft_microcredits is not None:
            self.initial["overdraft"] = _shown(self.instance.overdraft_microcredits)

    def carry_out(self) -> Account:
        """Set it."""
        overdraft = self.cleaned_data["overdraft"]
        owner_id = self.instance.owner_id
        ledger.set_overdraft(owner_id, None if overdraft is None else microcredits(overdraft))
        return Account.objects.get(pk=account_id(AccountKind.CREDIT, owner_id))


class BudgetForm(OwnedForm):
    """Limit what something of an owner may cost."""

    scope = forms.ChoiceField(
        label="Of what",
        choices=[(scope.value, Budget(scope=scope).shown_scope) for scope in BudgetScope],
        initial=BudgetScope.OWNER.value,
        widget=UnfoldAdminSelectWidget(),
    )
    scope_id = forms.CharField(
        required=False,
        label="Id",
        help_text="Of the graph, the execution or the API key; nothing for an owner.",
        widget=UnfoldAdminTextInputWidget(),
    )
    period = forms.ChoiceField(
        choices=[(period.value, Budget(period=period).shown_period) for period in BudgetPeriod],
        widget=UnfoldAdminSelectWidget(),
    )
    limit = usd(label="Limit in US dollars")
    paths: ClassVar[dict[str, str]] = {"budget_microcredits": "limit"}

    class Meta:
        model = Budget
        fields: list[str] = []

    def carry_out(self) -> Budget:
        """Set it."""
        given = self.cleaned_data
        return own_budgets.limit_own(
            owner_id=given["owner"].pk,
            scope=BudgetScope(given["scope"]),
            scope_id=given["scope_id"].strip(),
            period=BudgetPeriod(given["period"]),
            limit_microcredits=microcredits(given["limit"]),
        )


class LimitForm(ServiceForm):
    """Set another limit."""

    limit = usd(label="Limit in US dollars")
    paths: ClassVar[dict[str, str]] = {"budget_microcredits": "limit"}

    class Meta:
        model = Budget
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["limit"] = _shown(self.instance.limit_microcredits)

    def carry_out(self) -> Budget:
        """Set it."""
        return own_budgets.change(self.instance, limit_microcredits=microcredits(self.cleaned_data["limit"]))


class PriceForm(ServiceForm):
    """Set what a model costs from a moment on."""

    provider = forms.CharField(max_length=64, initial="openai", widget=UnfoldAdminTextInputWidget())
    model = forms.CharField(
        max_length=200,
        help_text="Its name, for all its editions; with a * at the end, all that begin so; * alone, all others of the provider.",
        widget=UnfoldAdminTextInputWidget(),
    )
    given = usd(label="Input", help_text="US dollars for a million tokens.")
    cached = usd(
        required=False, label="Cached input", help_text="Of these, what the provider had kept; empty: the same."
    )
    made = usd(label="Output", help_text="US dollars for a million tokens.")
    valid_from = forms.SplitDateTimeField(
        required=False,
        help_text="Empty: a minute from now, when every process knows it.",
        widget=UnfoldAdminSplitDateTimeWidget(),
    )
    note = forms.CharField(
        required=False, max_length=200, help_text="Where it was read, and when.", widget=UnfoldAdminTextInputWidget()
    )
    paths: ClassVar[dict[str, str]] = {
        "input_microcredits": "given",
        "cached_microcredits": "cached",
        "output_microcredits": "made",
    }

    class Meta:
        model = TokenPrice
        fields: list[str] = []

    def carry_out(self) -> TokenPrice:
        """Set it."""
        asked = self.cleaned_data
        cached = asked["cached"]
        return prices.set_price(
            provider=asked["provider"],
            model=asked["model"],
            input_microcredits=microcredits(asked["given"]),
            cached_microcredits=None if cached is None else microcredits(cached),
            output_microcredits=microcredits(asked["made"]),
            valid_from=asked["valid_from"],
            note=asked["note"],
        )


def _shown(amount_microcredits: int) -> Decimal:
    return (Decimal(amount_microcredits) / MICROCREDITS_PER_CREDIT).normalize()
