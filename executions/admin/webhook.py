"""The console's windows onto webhooks and what came to them: made and changed, given other secrets, started once more."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import display

from agentplatform.lib.errors import AppError
from executions import deliveries, own_webhooks
from executions.admin.secretive import SecretiveAdmin
from executions.admin.shown import WindowAdmin, as_id, linked_execution, shown_moment, shown_values
from executions.admin.webhook_forms import NewWebhookForm, WebhookForm
from executions.models import Delivery, Webhook

STATUSES = {"ACCEPTED": "success", "ANSWERED": "success", "IGNORED": "default", "REFUSED": "danger"}


@admin.register(Webhook)
class WebhookAdmin(SecretiveAdmin):
    """Addresses that others send to. A secret is shown once, when it is made."""

    list_display = ["name", "graph", "owner", "scheme", "is_on", "shown_secret", "shown_changed"]
    list_filter = ["scheme", "is_enabled"]
    list_prefetch_related = ("graph", "owner")
    autocomplete_fields = ["graph"]
    change_form_template = "admin/executions/webhook/change_form.html"
    goes_along = Delivery

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=WebhookForm if obj else NewWebhookForm, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return ["graph", "name", "scheme", "own_secret", "events", "mapping", "event_name", "is_enabled"]
        shown = ["name", "graph", "owner", "scheme", "address", "shown_secret", "shown_changed", "shown_previous"]
        return [*shown, "events", "mapping", "event_name", "is_enabled"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return []
        return ["graph", "owner", "scheme", "address", "shown_secret", "shown_changed", "shown_previous"]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        own_webhooks.delete(obj)

    def rotate(self, request: HttpRequest, thing: Any) -> str:
        return own_webhooks.rotate(thing, secret=request.POST.get("secret", ""))

    def explain(self, request: HttpRequest, thing: Any) -> dict[str, str]:
        return {
            "explanation": "Give both to whoever sends. The secret is shown this once.",
            "address": request.build_absolute_uri(thing.path),
        }

    @display(description="State", label={"on": "success", "off": "default"})
    def is_on(self, webhook: Webhook) -> str:
        return "on" if webhook.is_enabled else "off"

    @display(description="Address")
    def address(self, webhook: Webhook) -> str:
        return webhook.path


@admin.register(Delivery)
class DeliveryAdmin(WindowAdmin):
    """What came to webhooks, the newest first."""

    list_display = ["what", "webhook", "shown_status", "reason", "shown_execution", "shown_received"]
    list_display_links = ["what"]
    list_filter = ["status"]
    list_prefetch_related = ("webhook__graph",)
    search_fields = ["key"]
    search_help_text = "Id, webhook, execution, event, or the id its sender gave it"
    sortable_by: list[str] = []
    fields = ["id"]
    change_form_template = "admin/executions/delivery/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the address that the button sends to."""
        view = self.admin_site.admin_view(self.replay_view)
        return [path("<uuid:object_id>/replay/", view, name="executions_delivery_replay"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        # A payload may have a megabyte: only the page that shows it reads it.
        return super().get_queryset(request).defer("payload", "headers")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        if id_ := as_id(search_term):
            found = Q(pk=id_) | Q(execution_id=id_) | Q(webhook_id=id_) | Q(key__endswith=f":{id_}")
            return queryset.filter(found), False
        if term := search_term.strip():
            return queryset.filter(Q(key=f"id:{term}") | Q(event=term)), False
        return queryset, False

    @method_decorator(require_POST)
    def replay_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Start once more what a delivery brought, and show the new one."""
        if not (request.user.has_perm("executions.change_webhook") and self.has_view_permission(request)):
            raise PermissionDenied
        delivery = self.get_object(request, str(object_id))
        if not isinstance(delivery, Delivery):
            raise Http404
        try:
            again = deliveries.replay(delivery).delivery
        except AppError as error:
            messages.warning(request, f"{error.message} {error.hint}")
            return HttpResponseRedirect(reverse("admin:executions_delivery_change", args=[delivery.pk]))
        self.log_change(request, delivery, "Started once more.")
        messages.success(request, "It is started once more.")
        return HttpResponseRedirect(reverse("admin:executions_delivery_change", args=[again.pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        delivery: Delivery = context["original"]
        payload = delivery.payload if isinstance(delivery.payload, dict) else {"payload": delivery.payload}
        context |= {
            "title": str(delivery),
            "subtitle": None,
            "delivery": delivery,
            "label": STATUSES[delivery.status],
            "payload": shown_values(payload),
            "headers": shown_values(delivery.headers),
            "may_replay": request.user.has_perm("executions.change_webhook"),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="Execution")
    def shown_execution(self, delivery: Delivery) -> str:
        return linked_execution(delivery.execution_id)

    @display(description="What")
    def what(self, delivery: Delivery) -> str:
        return str(delivery)

    @display(description="Status", label=STATUSES)
    def shown_status(self, delivery: Delivery) -> str:
        return delivery.status

    @display(description="Received")
    def shown_received(self, delivery: Delivery) -> str:
        return shown_moment(delivery.received_at)
