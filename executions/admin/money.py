"""The console's windows onto money: accounts, the ledger, budgets and prices, with the levers of an operator."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth import get_user_model
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from agentplatform.lib.service_form import ServiceForm
from executions import export
from executions.admin.money_forms import BudgetForm, LimitForm, MoveForm, OverdraftForm, PriceForm
from executions.admin.shown import WindowAdmin, as_id, linked_execution, shown_moment
from executions.budgeted import name_things
from executions.engine.money import AccountKind
from executions.models import Account, Budget, LedgerEntry, LedgerEntryQuerySet, TokenPrice

#: Of owners that fit a search.
MOST_FOUND = 1000
#: The colour of a badge, by what an entry means to its owner.
KINDS = {
    "GRANT": "success",
    "TOP_UP": "success",
    "REFUND": "success",
    "SETTLE": "info",
    "EXCESS": "warning",
    "WRITE_OFF": "danger",
    "ADJUSTMENT": "warning",
    "HOLD": "default",
    "RELEASE": "default",
}


class ServiceAdmin(WindowAdmin):
    """A window whose forms call services; rows are found by their owners."""

    search_help_text = "Owner"
    sortable_by: list[str] = []

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"by_id": request.user.pk}) if issubclass(form, ServiceForm) else form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Do nothing: the form's service has written it."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            # Found first: joined, both tables would be compared row by row.
            users = get_user_model()._default_manager.filter(username__icontains=term)
            return queryset.filter(owner_id__in=list(users.values_list("pk", flat=True)[:MOST_FOUND])), False
        return queryset, False


@admin.register(Account)
class AccountAdmin(ServiceAdmin):
    """What owners have; how far their credit may fall is set here, and money is moved in the ledger."""

    form = OverdraftForm
    list_display = ["owner", "credit", "held", "overdraft_shown", "available"]
    list_display_links = ["owner"]
    list_prefetch_related = ("owner",)
    search_fields = ["owner__username"]
    ordering = ["owner_id"]
    readonly_fields = ["owner", "credit", "held", "available"]
    fields = ["owner", "credit", "held", "available", "overdraft"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.change_account")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        shown = [*self.readonly_fields]
        return [*shown, "overdraft" if self.has_change_permission(request, obj) else "overdraft_shown"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, "overdraft_shown"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        held = Account.objects.filter(owner_id=OuterRef("owner_id"), kind=AccountKind.HELD)
        credit = super().get_queryset(request).filter(kind=AccountKind.CREDIT)
        return credit.annotate(held=Coalesce(Subquery(held.values("balance_microcredits")), 0))

    @display(description="Credit", ordering="balance_microcredits")
    def credit(self, account: Account) -> str:
        return show(account.balance_microcredits)

    @display(description="Held for what runs")
    def held(self, account: Any) -> str:
        return show(account.held)

    @display(description="Overdraft")
    def overdraft_shown(self, account: Account) -> str:
        return _or_without_end(account.overdraft_microcredits)

    @display(description="Can be spent")
    def available(self, account: Account) -> str:
        overdraft = account.overdraft_microcredits
        return _or_without_end(None if overdraft is None else account.balance_microcredits + overdraft)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ServiceAdmin):
    """Every transfer, the newest first. An operator adds one to give credit or to put it right; none is ever changed."""

    form = MoveForm
    list_display = ["shown_time", "owner", "shown_kind", "amount", "accounts", "shown_node", "note"]
    list_display_links = ["shown_time"]
    list_filter = ["kind"]
    list_prefetch_related = ("owner", "debit", "credit", "by")
    search_fields = ["owner__username"]
    search_help_text = "Owner, or the id of an execution"
    actions_list = ["export_csv"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.add_ledgerentry")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["owner", "what", "amount", "note", "key"]})]
        of_firing = ["shown_execution", "shown_node", "shown_item"] if obj.execution_id else []
        by_hand = [name for name in ("by", "note") if getattr(obj, name)]
        told = ["shown_time", "owner", "kind_in_words", "amount", "accounts", *of_firing, *by_hand]
        claim = ["shown_root", "graph_id", "attempt", "fence"] if obj.execution_id else ["key"]
        return [(None, {"fields": told}), ("Technical", {"classes": ["collapse"], "fields": ["id", *claim]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else flatten_fieldsets(self.get_fieldsets(request, obj))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(execution_id=id_), False
        return super().get_search_results(request, queryset, search_term)

    @action(description="Export as CSV", url_path="export", icon="download", permissions=["view"])
    def export_csv(self, request: HttpRequest) -> StreamingHttpResponse:
        """Send all entries, or those that a search in the address finds."""
        found = self.get_changelist_instance(request).get_queryset(request)
        return export.as_download(cast(LedgerEntryQuerySet, found))

    @display(description="Execution")
    def shown_execution(self, entry: LedgerEntry) -> str:
        return linked_execution(entry.execution_id)

    @display(description="Outermost execution")
    def shown_root(self, entry: LedgerEntry) -> str:
        return linked_execution(entry.root_id)

    @display(description="Time", ordering="id")
    def shown_time(self, entry: LedgerEntry) -> str:
        return shown_moment(entry.created_at)

    @display(description="Node")
    def shown_node(self, entry: LedgerEntry) -> str:
        return entry.node_key

    @display(description="Item")
    def shown_item(self, entry: LedgerEntry) -> str:
        return entry.shown_path

    @display(description="Kind", label=KINDS)
    def shown_kind(self, entry: LedgerEntry) -> tuple[str, str]:
        return entry.kind, entry.shown_kind

    @display(description="Kind")
    def kind_in_words(self, entry: LedgerEntry) -> str:
        return entry.shown_kind

    @display(description="Amount")
    def amount(self, entry: LedgerEntry) -> str:
        return show(entry.amount_microcredits)

    @display(description="From → to")
    def accounts(self, entry: LedgerEntry) -> str:
        return f"{entry.debit.shown_kind} → {entry.credit.shown_kind}"


@admin.register(Budget)
class BudgetAdmin(ServiceAdmin):
    """Limits to what executions may cost."""

    list_display = ["what", "name", "owner", "shown_period", "limit_shown", "spent", "held", "remaining"]
    list_display_links = ["what"]
    list_filter = ["scope", "period"]
    list_prefetch_related = ("owner",)
    search_fields = ["owner__username"]
    actions = None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.add_budget")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.change_budget")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.delete_budget")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=LimitForm if obj else BudgetForm, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return ["owner", "scope", "scope_id", "period", "limit"]
        limit = "limit" if self.has_change_permission(request, obj) else "limit_shown"
        return ["what", "name", "owner", "shown_period", limit, "spent", "held", "remaining"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return (
            []
            if obj is None
            else ["what", "name", "owner", "shown_period", "limit_shown", "spent", "held", "remaining"]
        )

    @display(description="Of what")
    def what(self, budget: Budget) -> str:
        return budget.shown_scope

    @display(description="Which")
    def name(self, budget: Budget) -> str:
        thing = budget.thing
        if thing is None:
            return f"{budget.scope_id} (gone)"
        at = reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_change", args=[thing.pk])
        return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', at, thing)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        name_things(found.result_list)
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Budget | None:
        budget = cast(Budget | None, super().get_object(request, object_id, from_field))
        name_things([budget] if budget else [])
        return budget

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Let the budget that its service has written say what it is for."""
        name_things([obj])

    @display(description="Period")
    def shown_period(self, budget: Budget) -> str:
        return budget.shown_period

    @display(description="Limit")
    def limit_shown(self, budget: Budget) -> str:
        return show(budget.limit_microcredits)

    @display(description="Spent")
    def spent(self, budget: Budget) -> str:
        return show(budget.spent_now_microcredits)

    @display(description="Held")
    def held(self, budget: Budget) -> str:
        return show(budget.held_microcredits)

    @display(description="Remaining")
    def remaining(self, budget: Budget) -> str:
        return show(budget.remaining_microcredits)


@admin.register(TokenPrice)
class TokenPriceAdmin(ServiceAdmin):
    """What a million tokens of a model cost. One in force stays; a new one takes its place from a moment on."""

    form = PriceForm
    list_display = ["model", "provider", "given", "cached", "made", "shown_from", "is_in_force", "note"]
    list_display_links = ["model"]
    list_filter = ["provider"]
    search_fields = ["model"]
    search_help_text = "Model or provider"
    ordering = ["provider", "model", "-valid_from"]
    actions = None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.add_tokenprice")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_to_come = obj is None or obj.valid_from > now()
        return is_to_come and request.user.has_perm("executions.delete_tokenprice")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return ["provider", "model", "given", "cached", "made", "valid_from", "note"]
        return ["provider", "model", "given", "cached", "made", "valid_from", "is_in_force", "note", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else self.get_fields(request, obj)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TokenPrice], search_term: str
    ) -> tuple[QuerySet[TokenPrice], bool]:
        term = search_term.strip()
        return queryset.filter(Q(model__icontains=term) | Q(provider__icontains=term)), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[TokenPrice]:
        since = TokenPrice.objects.filter(
            provider=OuterRef("provider"), model=OuterRef("model"), valid_from__lte=now()
        ).order_by("-valid_from")
        return super().get_queryset(request).annotate(in_force_id=Subquery(since.values("pk")[:1]))

    @display(description="Input")
    def given(self, price: TokenPrice) -> str:
        return show(price.input_microcredits)

    @display(description="Cached")
    def cached(self, price: TokenPrice) -> str:
        return show(price.as_price().cached)

    @display(description="Output")
    def made(self, price: TokenPrice) -> str:
        return show(price.output_microcredits)

    @display(description="From")
    def shown_from(self, price: TokenPrice) -> str:
        return shown_moment(price.valid_from)

    @display(description="In force", label={"now": "success", "to come": "info", "before": "default"})
    def is_in_force(self, price: Any) -> str:
        if price.in_force_id == price.pk:
            return "now"
        return "to come" if price.valid_from > now() else "before"


def _or_without_end(microcredits: int | None) -> str:
    return "without an end" if microcredits is None else show(microcredits)
