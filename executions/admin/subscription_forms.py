"""Forms of the console that make and change subscriptions."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from agentplatform.lib.service_form import ServiceForm
from executions import own_subscriptions
from executions.engine.outgoing import KINDS, OutgoingEvent
from executions.models import Subscription


class _Settings(ServiceForm):
    """What can be changed at any time."""

    url = forms.CharField(
        label="Address",
        help_text="A public https address, or a private one that the operator allows.",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://"}),
    )
    events = forms.CharField(
        required=False,
        label="Events",
        help_text=f"One a line: {', '.join(OutgoingEvent)}; or all of a kind: {', '.join(KINDS)}. Empty: everything is told.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )

    def clean_events(self) -> list[str]:
        """Return the events, one of each line."""
        return [line.strip() for line in self.cleaned_data["events"].splitlines() if line.strip()]

    def add_error(self, field: str | None, error: Any) -> None:
        # What is wrong with one event is told at the field of all.
        if field is None or field in self.fields:
            super().add_error(field, error)

    @property
    def asked(self) -> dict[str, Any]:
        """Return what is asked for, by the names of the services."""
        return {name: self.cleaned_data[name] for name in ("name", "url", "events", "graph", "is_enabled")}


class NewSubscriptionForm(_Settings):
    """Make a subscription for somebody."""

    #: Of what was just made.
    new_secret = ""

    class Meta:
        model = Subscription
        fields = ["owner", "name", "graph", "is_enabled"]
        labels: ClassVar[dict[str, str]] = {"is_enabled": "On"}

    def carry_out(self) -> Subscription:
        """Make it."""
        owner = self.cleaned_data["owner"]
        subscription, self.new_secret = own_subscriptions.create(owner_id=owner.pk, **self.asked)
        return subscription


class SubscriptionForm(_Settings):
    """Change a subscription."""

    class Meta:
        model = Subscription
        fields = ["name", "graph", "is_enabled"]
        labels: ClassVar[dict[str, str]] = {"is_enabled": "On"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["url"] = self.instance.url
        self.initial["events"] = "\n".join(self.instance.events)

    def carry_out(self) -> Subscription:
        """Change it."""
        return own_subscriptions.update(self.instance, **self.asked)
