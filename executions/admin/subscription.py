"""The console's windows onto subscriptions and what goes out to them: made and changed, tried, given other secrets, sent once more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import display

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from executions import own_subscriptions
from executions.admin.secretive import SecretiveAdmin
from executions.admin.shown import WindowAdmin, as_id, linked_execution, shown_moment, shown_values
from executions.admin.subscription_forms import NewSubscriptionForm, SubscriptionForm
from executions.models import OutgoingDelivery, Subscription

STATUSES = {"PENDING": "info", "DELIVERED": "success", "FAILED": "danger"}
STATES = {"on": "success", "not heard": "warning", "off": "danger", "turned off": "default"}
#: Of what went out to one, so much is shown on its page.
SHOWN = 10
#: How long ago something may have been given up that the button sends once more.
RESENT = timedelta(days=7)
REASONS = {
    own_subscriptions.BY_HAND: "It was turned off.",
    own_subscriptions.GONE: "Its receiver answered that it wants nothing more (410).",
    own_subscriptions.NOT_HEARD: "Nothing was heard for as long as is tried.",
}


def _ping(subscription: Subscription) -> str:
    own_subscriptions.ping(subscription)
    return "A test is sent in a moment."


def _resend(subscription: Subscription) -> str:
    count = own_subscriptions.resend_failed(subscription, since=now() - RESENT)
    return f"{count} that were given up in the last {RESENT.days} days are sent once more."


#: What a person can do with a subscription, beside giving it another secret; each says what was done.
LEVERS: dict[str, Callable[[Subscription], str]] = {"ping": _ping, "resend": _resend}


@admin.register(Subscription)
class SubscriptionAdmin(SecretiveAdmin):
    """Addresses that are told what happens. A secret is shown once, when it is made."""

    list_display = ["name", "owner", "shown_url", "shown_events", "graph", "shown_state", "shown_heard"]
    list_filter = ["is_enabled"]
    list_prefetch_related = ("graph", "owner")
    autocomplete_fields = ["owner", "graph"]
    change_form_template = "admin/executions/subscription/change_form.html"
    goes_along = OutgoingDelivery

    def get_urls(self) -> list[URLPattern]:
        """Add the address that the other buttons send to."""
        view = self.admin_site.admin_view(self.do_view)
        return [path("<uuid:object_id>/do/<slug:what>/", view, name="executions_subscription_do"), *super().get_urls()]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = SubscriptionForm if obj else NewSubscriptionForm
        return super().get_form(request, obj, change, form=form, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return ["owner", "name", "url", "events", "graph", "is_enabled"]
        shown = ["shown_secret", "shown_changed", "shown_previous", "shown_heard", "failures"]
        url, events = ("url", "events") if self.has_change_permission(request) else ("shown_url", "shown_events")
        return ["name", "owner", url, events, "graph", "is_enabled", *shown]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return []
        shown = ["owner", "shown_secret", "shown_changed", "shown_previous", "shown_heard", "failures"]
        return [*shown, "shown_url", "shown_events"]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        own_subscriptions.delete(obj)

    def rotate(self, request: HttpRequest, thing: Any) -> str:
        return own_subscriptions.rotate(thing)

    def explain(self, request: HttpRequest, thing: Any) -> dict[str, str]:
        to_whom = f"Give the secret to whoever receives at {thing.url}, to verify what comes."
        return {"explanation": f"{to_whom} It is shown this once."}

    @method_decorator(require_POST)
    def do_view(self, request: HttpRequest, object_id: Any, what: str) -> HttpResponse:
        """Send a test, or once more what was given up."""
        subscription: Subscription = self.changeable(request, object_id)
        if what not in LEVERS:
            raise Http404
        try:
            done = LEVERS[what](subscription)
        except AppError as error:
            messages.warning(request, f"{error.message} {error.hint}")
        else:
            self.log_change(request, subscription, done)
            messages.success(request, done)
        return HttpResponseRedirect(self.address_of(subscription))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        subscription: Subscription | None = context.get("original")
        if subscription is not None:
            latest = subscription.deliveries.defer("payload", "answer", "log").order_by("-id")[:SHOWN]
            context["latest"] = [(one, STATUSES[one.status], shown_moment(one.created_at)) for one in latest]
            if not subscription.is_enabled:
                context["why_off"] = REASONS.get(subscription.disabled_reason, subscription.disabled_reason)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="Address")
    def shown_url(self, subscription: Subscription) -> str:
        return subscription.url

    @display(description="Events")
    def shown_events(self, subscription: Subscription) -> str:
        return ", ".join(subscription.events) or "everything"

    @display(description="State", label=STATES)
    def shown_state(self, subscription: Subscription) -> str:
        if subscription.is_enabled:
            return "not heard" if subscription.failures else "on"
        return "turned off" if subscription.disabled_reason == own_subscriptions.BY_HAND else "off"

    @display(description="Last heard")
    def shown_heard(self, subscription: Subscription) -> str:
        return shown_moment(subscription.heard_at) or "never"


@admin.register(OutgoingDelivery)
class OutgoingDeliveryAdmin(WindowAdmin):
    """What went out, or is to, the newest first."""

    list_display = [
        "event",
        "subscription",
        "shown_status",
        "shown_answer",
        "attempts",
        "shown_execution",
        "shown_created",
    ]
    list_display_links = ["event"]
    list_filter = ["status"]
    list_prefetch_related = ("subscription",)
    search_fields = ["event"]
    search_help_text = "Id, subscription, execution, or event"
    sortable_by: list[str] = []
    fields = ["id"]
    change_form_template = "admin/executions/outgoingdelivery/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the address that the button sends to."""
        view = self.admin_site.admin_view(self.resend_view)
        return [path("<uuid:object_id>/resend/", view, name="executions_outgoingdelivery_resend"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutgoingDelivery]:
        return super().get_queryset(request).defer("payload", "answer", "log")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OutgoingDelivery], search_term: str
    ) -> tuple[QuerySet[OutgoingDelivery], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(Q(pk=id_) | Q(execution_id=id_) | Q(subscription_id=id_)), False
        if term := search_term.strip():
            return queryset.filter(event=term), False
        return queryset, False

    @method_decorator(require_POST)
    def resend_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Send it once more."""
        if not (request.user.has_perm("executions.change_subscription") and self.has_view_permission(request)):
            raise PermissionDenied
        delivery = self.get_object(request, str(object_id))
        if not isinstance(delivery, OutgoingDelivery):
            raise Http404
        try:
            own_subscriptions.resend(delivery)
        except AppError as error:
            messages.warning(request, f"{error.message} {error.hint}")
        else:
            self.log_change(request, delivery, "Sent once more.")
            messages.success(request, "It is sent once more in a moment.")
        return HttpResponseRedirect(reverse("admin:executions_outgoingdelivery_change", args=[delivery.pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        delivery: OutgoingDelivery = context["original"]
        context |= {
            "title": delivery.event,
            "subtitle": None,
            "delivery": delivery,
            "label": STATUSES[delivery.status],
            "next_at": shown_moment(delivery.next_at),
            "payload": shown_values(delivery.payload.get("data", {})),
            "log": [{**one, "at": parse_datetime(one["at"])} for one in reversed(delivery.log)],
            "may_resend": request.user.has_perm("executions.change_subscription"),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="Execution")
    def shown_execution(self, delivery: OutgoingDelivery) -> str:
        return linked_execution(delivery.execution_id)

    @display(description="Status", label=STATUSES)
    def shown_status(self, delivery: OutgoingDelivery) -> str:
        return delivery.status

    @display(description="Last answer")
    def shown_answer(self, delivery: OutgoingDelivery) -> str:
        return str(delivery.status_code or delivery.error_code or "")

    @display(description="Happened")
    def shown_created(self, delivery: OutgoingDelivery) -> str:
        return shown_moment(delivery.created_at)
