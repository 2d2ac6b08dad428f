"""The console's page of API keys: a key is shown once, when it is made, and only its beginning afterwards."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from access import keyring
from access.errors import ApiKeyInvalid
from access.models import ApiKey
from access.scopes import Scope


class ApiKeyForm(forms.ModelForm):
    """What a key opens."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope], widget=forms.CheckboxSelectMultiple
    )
    networks = forms.CharField(
        required=False, help_text="From where it may be used, as 203.0.113.0/24, separated by spaces; empty: anywhere."
    )

    class Meta:
        model = ApiKey
        fields = ["owner", "name", "scopes", "graph", "networks", "expires_at"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.networks:
            self.initial["networks"] = " ".join(self.instance.networks)

    def clean_networks(self) -> list[str]:
        """Return them as a list."""
        return str(self.cleaned_data["networks"]).split()

    def clean(self) -> dict[str, Any]:
        """Check it as the API does."""
        cleaned: dict[str, Any] = super().clean() or {}
        graph, owner = cleaned.get("graph"), cleaned.get("owner") or getattr(self.instance, "owner", None)
        if graph and owner and graph.owner_id != owner.pk:
            self.add_error("graph", "The graph is somebody else's.")
        return cleaned

    def asked(self) -> dict[str, Any]:
        """Return what the service takes."""
        given = self.cleaned_data
        graph = given.get("graph")
        return {
            "name": given["name"],
            "scopes": given["scopes"],
            "graph_id": graph.pk if graph else None,
            "networks": given["networks"],
            "expires_at": given.get("expires_at"),
        }


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Who may ask the API for what."""

    form = ApiKeyForm
    list_display: ClassVar = ["name", "owner", "beginning", "is_good", "expires_at", "last_used_at", "created_at"]
    list_select_related: ClassVar = ["owner"]
    search_fields: ClassVar = ["name", "prefix", "owner__username"]
    readonly_fields: ClassVar = ["beginning", "last_used_at", "revoked_at", "old_until", "created_at"]
    autocomplete_fields: ClassVar = ["owner"]
    raw_id_fields: ClassVar = ["graph"]
    actions: ClassVar = ["rotate", "revoke"]
    ordering: ClassVar = ["-id"]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """Let nobody hand a key to somebody else."""
        return [*self.readonly_fields, *(["owner"] if obj else [])]

    @admin.display(description="Key")
    def beginning(self, key: ApiKey) -> str:
        return f"{key.prefix}…" if key.prefix else "-"

    @admin.display(description="Good", boolean=True)
    def is_good(self, key: ApiKey) -> bool:
        return key.is_good

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Make or change a key by the one function there is for it."""
        try:
            if change:
                keyring.update(obj, **form.asked())
                return
            key, text = keyring.issue(owner_id=obj.owner_id, **form.asked())
        except ApiKeyInvalid as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        obj.pk, obj.prefix = key.pk, key.prefix
        self.message_user(request, f"The key, shown only this once: {text}", messages.WARNING)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Let keys be revoked, and not vanish."""
        return False

    @admin.action(description="Replace (the one before stays good for a day)", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            try:
                text = keyring.rotate(key)
            except ApiKeyInvalid as error:
                self.message_user(request, f"{key}: {error}", messages.WARNING)
            else:
                self.message_user(request, f"{key}, shown only this once: {text}", messages.WARNING)

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            keyring.revoke(key)
            self.message_user(request, f"{key} opens nothing any more.")
