"""The console's forms of an API key."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from access import keyring
from access.models import ApiKey
from access.scopes import Scope
from agentplatform.lib.service_form import ServiceForm


class ApiKeyForm(ServiceForm):
    """What a key opens."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope], widget=UnfoldAdminCheckboxSelectMultipleWidget()
    )
    networks = forms.CharField(
        required=False,
        help_text="From where it may be used, as 203.0.113.0/24, separated by spaces; empty: anywhere.",
        widget=UnfoldAdminTextInputWidget(),
    )

    class Meta:
        model = ApiKey
        fields = ["owner", "name", "scopes", "graph", "networks", "expires_at"]
        labels: ClassVar[dict[str, str]] = {"expires_at": "Expires"}
        help_texts: ClassVar[dict[str, str]] = {
            "graph": "It opens this graph and its executions only. Empty: all that its owner has.",
            "expires_at": "Empty: never.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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

    def carry_out(self) -> ApiKey:
        """Change it."""
        return keyring.update(self.instance, **self.asked())

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


class NewApiKeyForm(ApiKeyForm):
    """Make one, and have its text until the answer is sent."""

    def carry_out(self) -> ApiKey:
        """Make it."""
        key, self.text = keyring.issue(owner_id=self.cleaned_data["owner"].pk, **self.asked())
        return key
