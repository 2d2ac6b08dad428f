"""The console's window onto credentials: written and never shown; tried, connected and revoked by buttons."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import display

from agentplatform.lib.errors import AppError
from agentplatform.lib.named_list import NamedList
from integrations import oauth, questions, services, trial, uses
from integrations.forms import KIND_TITLES, AddForm, ChangeForm
from integrations.models import Credential, Grant
from integrations.providers import ALL, AuthKind

STATES = {
    "revoked": "danger",
    "expired": "danger",
    "connect again": "danger",
    "not connected": "warning",
    "expiring": "warning",
    "good": "success",
}
PROVIDER_TITLES = {one.name: one.title for one in ALL}
#: What those see who may only look.
LOOKED_AT = [
    *["name", "owner", "shown_provider", "shown_kind", "base_url", "allowed_hosts", "group", "expires_at"],
    *["max_concurrent", "rate_per_second"],
]


def state_of(credential: Credential) -> str:
    """Return how it stands with a credential, in a word or two."""
    if credential.revoked_at is not None:
        return "revoked"
    if credential.is_expired:
        return "expired"
    if not credential.is_connected:
        return "not connected"
    grant: Grant | None = getattr(credential, "grant", None)
    if grant is not None and grant.failure:
        return "connect again"
    return "expiring" if credential.is_expiring else "good"


@admin.register(Credential)
class CredentialAdmin(NamedList):
    """Credentials of everybody. Of their secrets, the last four characters and a fingerprint."""

    list_display = ["name", "owner", "shown_provider", "shown_kind", "told", "state", "expires_at", "last_used_at"]
    list_filter = ["provider", "kind"]
    list_select_related = ["owner", "grant", "group"]
    search_fields = ["name", "=id", "owner__username", "=fingerprint", "=last4"]
    search_help_text = "Name, owner, id, fingerprint or last four characters"
    ordering = ["-id"]
    show_full_result_count = False
    change_form_template = "admin/integrations/credential/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        return super().get_queryset(request).defer("secret", "grant__tokens")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return super().get_form(request, obj, change, **kwargs)
        return ChangeForm if obj else AddForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": LOOKED_AT})]
        return AddForm.fieldsets if obj is None else ChangeForm.fieldsets_of(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Somebody who may only look gets a page without a form.
        return LOOKED_AT if obj is not None and not self.has_change_permission(request, obj) else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Do nothing: the form's service has written it."""

    def delete_model(self, request: HttpRequest, obj: Credential) -> None:
        services.remove(obj)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses that the buttons send to."""
        view = self.admin_site.admin_view
        own = [
            path("<uuid:object_id>/connect/", view(self.connect_view), name="integrations_credential_connect"),
            path("<uuid:object_id>/test/", view(self.test_view), name="integrations_credential_test"),
            path("<uuid:object_id>/revoke/", view(self.revoke_view), name="integrations_credential_revoke"),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        credential = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if isinstance(credential, Credential) and self.has_view_permission(request, credential):
            shown = {
                "credential": credential,
                "provider": self.shown_provider(credential),
                "kind": self.shown_kind(credential),
                "state": state_of(credential),
                "state_label": STATES[state_of(credential)],
                "failure": getattr(getattr(credential, "grant", None), "failure", ""),
                "found_uses": uses.uses_of(credential.pk, credential.provider),
                "may_operate": self.has_change_permission(request, credential),
                "is_oauth": credential.kind == AuthKind.OAUTH2,
                "callback": questions.callback_address(request),
            }
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @method_decorator(require_POST)
    def connect_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Send somebody to the provider, to allow this credential what it asks for."""
        credential = self._operated(request, object_id)
        try:
            url, question = oauth.ask(
                credential, user_id=request.user.pk, redirect_uri=questions.callback_address(request)
            )
        except AppError as error:
            messages.error(request, f"{error.message} {error.hint}")
            return self._back_to(credential)
        questions.keep(request, question)
        self.log_change(request, credential, "Connecting.")
        return self._leave_for(request, credential, url)

    @method_decorator(require_POST)
    def test_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Ask its provider whether it takes it."""
        credential = self._operated(request, object_id)
        result = trial.try_out(credential)
        (messages.success if result.is_good else messages.error)(request, result.message)
        return self._back_to(credential)

    @method_decorator(require_POST)
    def revoke_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Use it no more, and destroy its secret."""
        credential = services.revoke(self._operated(request, object_id))
        self.log_change(request, credential, "Revoked.")
        messages.success(request, "Revoked: no worker uses it any more within five seconds. Its secret is destroyed.")
        return self._back_to(credential)

    @display(description="Provider", ordering="provider")
    def shown_provider(self, credential: Credential) -> str:
        return PROVIDER_TITLES.get(credential.provider, credential.provider)

    @display(description="Kind", ordering="kind")
    def shown_kind(self, credential: Credential) -> str:
        return KIND_TITLES[credential.kind]

    @display(description="Secret")
    def told(self, credential: Credential) -> str:
        return credential.hint

    @display(description="State", label=STATES)
    def state(self, credential: Credential) -> str:
        return state_of(credential)

    def _operated(self, request: HttpRequest, object_id: Any) -> Credential:
        credential = self.get_object(request, str(object_id))
        if not self.has_change_permission(request, credential):
            raise PermissionDenied
        if not isinstance(credential, Credential):
            raise Http404
        return credential

    def _leave_for(self, request: HttpRequest, credential: Credential, url: str) -> HttpResponse:
        # Not a redirect: the policy of our pages lets their forms lead nowhere else, and browsers mind where they are led on.
        context = {
            **self.admin_site.each_context(request),
            "title": f"Connecting {credential.name}",
            "opts": self.opts,
            "url": url,
            "provider": urlsplit(url).hostname,
        }
        response = TemplateResponse(request, "admin/integrations/credential/leave.html", context)
        response["Refresh"] = f"0; url={url}"
        return response

    def _back_to(self, credential: Credential) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:integrations_credential_change", args=[credential.pk]))
