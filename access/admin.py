"""The console's page of API keys: a key is shown once, in the answer to what has made it, and only its beginning afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime

from access import keyring
from access.admin_forms import ApiKeyForm, NewApiKeyForm
from access.errors import ApiKeyInvalid
from access.models import ApiKey
from agentplatform.lib.named_list import NamedList
from agentplatform.lib.secret_page import show_secrets


@admin.register(ApiKey)
class ApiKeyAdmin(NamedList):
    """Who may ask the API for what."""

    list_display: ClassVar = ["name", "owner", "beginning", "is_good", "ends", "last_used", "created_at"]
    list_select_related: ClassVar = ["owner"]
    search_fields: ClassVar = ["name", "prefix", "owner__username"]
    search_help_text = "Name, owner, or how a key begins"
    readonly_fields: ClassVar = ["beginning", "last_used", "revoked", "old_one", "created_at"]
    autocomplete_fields: ClassVar = ["owner", "graph"]
    actions: ClassVar = ["rotate", "revoke"]
    ordering: ClassVar = ["-id"]

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        asked = ["owner", "name", "scopes", "graph", "networks", "expires_at"]
        return [*asked, *self.readonly_fields] if obj else asked

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """Let nobody hand a key to somebody else."""
        return [*self.readonly_fields, "owner"] if obj else []

    @admin.display(description="Key")
    def beginning(self, key: ApiKey) -> str:
        return f"{key.prefix}…" if key.prefix else "-"

    @admin.display(description="Expires", ordering="expires_at")
    def ends(self, key: ApiKey) -> str:
        return _moment(key.expires_at, "never")

    @admin.display(description="Last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return _moment(key.last_used_at, "never")

    @admin.display(description="Revoked")
    def revoked(self, key: ApiKey) -> str:
        return _moment(key.revoked_at, "no")

    @admin.display(description="The one before is good until")
    def old_one(self, key: ApiKey) -> str:
        return _moment(key.old_until, "there is none")

    @admin.display(description="Good", boolean=True)
    def is_good(self, key: ApiKey) -> bool:
        return key.is_good

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=ApiKeyForm if obj else NewApiKeyForm, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Keep the text of a new one for the answer; the form's service has written the row."""
        obj.text = getattr(form, "text", "")

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._shown(request, [(obj, obj.text)])

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Let keys be revoked, and not vanish."""
        return False

    @admin.action(description="Replace (the one before stays good for a day)", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        shown = []
        for key in queryset:
            try:
                shown.append((key, keyring.rotate(key)))
            except ApiKeyInvalid as error:
                self.message_user(request, f"{key}: {error}", messages.WARNING)
            else:
                self.log_change(request, key, "Replaced.")
        return self._shown(request, shown) if shown else None

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            keyring.revoke(key)
            self.log_change(request, key, "Revoked.")
            self.message_user(request, f"{key} opens nothing any more.")

    def _shown(self, request: HttpRequest, texts: list[tuple[ApiKey, str]]) -> HttpResponse:
        return show_secrets(
            self,
            request,
            title="New API keys" if len(texts) > 1 else texts[0][0].name,
            page=reverse("admin:access_apikey_changelist"),
            explanation="Keep it now: it is shown this once, and nobody can read it again. It is sent as Authorization: Bearer …",
            secrets=[(key.name, text) for key, text in texts],
        )


def _moment(moment: datetime | None, otherwise: str) -> str:
    return date_format(localtime(moment), "DATETIME_FORMAT") if moment else otherwise
