"""The console's windows onto webhooks and what came to them: made and changed, given other secrets, started once more."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import display

from agentplatform.lib.errors import AppError
from executions import deliveries, own_webhooks
from executions.admin.money import ServiceAdmin
from executions.admin.shown import WindowAdmin, as_id, shown_moment, shown_values
from executions.admin.webhook_forms import NewWebhookForm, WebhookForm
from executions.models import Delivery, Webhook

STATUSES = {"ACCEPTED": "success", "ANSWERED": "success", "IGNORED": "default", "REFUSED": "danger"}


@admin.register(Webhook)
class WebhookAdmin(ServiceAdmin):
    """Addresses that others send to. A secret is shown once, when it is made."""

    list_display = ["name", "graph", "owner", "scheme", "is_enabled", "shown_secret", "shown_changed"]
    list_display_links = ["name"]
    list_filter = ["scheme", "is_enabled"]
    list_select_related = ["graph", "owner"]
    search_fields = ["name"]
    search_help_text = "Owner, name, or id"
    autocomplete_fields = ["graph"]
    change_form_template = "admin/executions/webhook/change_form.html"
    actions = None

    def get_urls(self) -> list[URLPattern]:
        """Add the address that the button sends to."""
        view = self.admin_site.admin_view(self.rotate_view)
        return [path("<uuid:object_id>/rotate/", view, name="executions_webhook_rotate"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.add_webhook")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.change_webhook")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("executions.delete_webhook")

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

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        # What came to them goes with them: nobody may delete that alone, and there may be thousands.
        came = Delivery.objects.filter(webhook__in=objs).count()
        return [str(one) for one in objs], {"webhooks": len(objs), "deliveries": came}, set(), []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        own_webhooks.delete(obj)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Webhook], search_term: str
    ) -> tuple[QuerySet[Webhook], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(pk=id_), False
        if term := search_term.strip():
            return queryset.filter(Q(name__icontains=term) | Q(owner__username=term)), False
        return queryset, False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Keep the secret of a new one for the page that follows; the form's service has written the row."""
        obj.new_secret = getattr(form, "new_secret", "")

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._secret_page(request, obj, obj.new_secret)

    @method_decorator(require_POST)
    def rotate_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Give a webhook another secret, and show it."""
        webhook = self.get_object(request, str(object_id))
        if not self.has_change_permission(request):
            raise PermissionDenied
        if not isinstance(webhook, Webhook):
            raise Http404
        try:
            secret = own_webhooks.rotate(webhook, secret=request.POST.get("secret", ""))
        except AppError as error:
            messages.warning(request, f"{error.message} {error.hint}")
            return HttpResponseRedirect(reverse("admin:executions_webhook_change", args=[webhook.pk]))
        self.log_change(request, webhook, "Another secret.")
        return self._secret_page(request, webhook, secret)

    def _secret_page(self, request: HttpRequest, webhook: Webhook, secret: str) -> HttpResponse:
        # Not a message: those are kept in a cookie until they are shown.
        context = {
            **self.admin_site.each_context(request),
            "title": webhook.name,
            "opts": self.opts,
            "webhook": webhook,
            "address": request.build_absolute_uri(webhook.path),
            "secret": secret,
        }
        response = TemplateResponse(request, "admin/executions/webhook/secret.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @display(description="Address")
    def address(self, webhook: Webhook) -> str:
        return webhook.path

    @display(description="Secret")
    def shown_secret(self, webhook: Webhook) -> str:
        return f"…{webhook.last4}"

    @display(description="Since")
    def shown_changed(self, webhook: Webhook) -> str:
        return shown_moment(webhook.changed_at)

    @display(description="The one before is taken until")
    def shown_previous(self, webhook: Webhook) -> str:
        return shown_moment(webhook.previous_until) if webhook.previous_secret is not None else "there is none"


@admin.register(Delivery)
class DeliveryAdmin(WindowAdmin):
    """What came to webhooks, the newest first."""

    list_display = ["what", "webhook", "shown_status", "reason", "execution_id", "shown_received"]
    list_display_links = ["what"]
    list_filter = ["status"]
    list_select_related = ["webhook"]
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
        return super().get_queryset(request).select_related("webhook__graph").defer("payload", "headers")

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

    @display(description="What")
    def what(self, delivery: Delivery) -> str:
        return str(delivery)

    @display(description="Status", label=STATUSES)
    def shown_status(self, delivery: Delivery) -> str:
        return delivery.status

    @display(description="Received")
    def shown_received(self, delivery: Delivery) -> str:
        return shown_moment(delivery.received_at)
