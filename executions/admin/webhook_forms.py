"""Forms of the console that make and change webhooks."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from agentplatform.lib.service_form import ServiceForm
from executions import own_webhooks
from executions.models import Webhook
from integrations.signatures import LONGEST_SECRET


class _Settings(ServiceForm):
    """What can be changed at any time."""

    events = forms.CharField(
        required=False,
        label="Events",
        help_text="One a line; “issues” takes “issues.opened” too. Empty: everything is taken.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    mapping = forms.JSONField(
        required=False,
        label="Inputs",
        initial=dict,
        help_text='By input of the graph where its value is, such as {"title": "/issue/title", "event": "header:X-GitHub-Event"}. '
        "Empty: what has the name of an input.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )

    def clean_events(self) -> list[str]:
        """Return the events, one of each line."""
        return [line.strip() for line in self.cleaned_data["events"].splitlines() if line.strip()]

    def clean_mapping(self) -> dict[str, str]:
        """Return texts by text."""
        mapping = self.cleaned_data["mapping"] or {}
        if not isinstance(mapping, dict) or not all(isinstance(place, str) for place in mapping.values()):
            raise forms.ValidationError("Give an object of texts.")
        return mapping

    def add_error(self, field: str | None, error: Any) -> None:
        # What is wrong with one event is told at the field of all.
        if field is None or field in self.fields:
            super().add_error(field, error)

    @property
    def asked(self) -> dict[str, Any]:
        """Return what is asked for, by the names of the services."""
        return {name: self.cleaned_data[name] for name in ("name", "events", "mapping", "event_name", "is_enabled")}


class NewWebhookForm(_Settings):
    """Make a webhook of the graph's owner."""

    own_secret = forms.CharField(
        required=False,
        strip=False,
        max_length=LONGEST_SECRET,
        label="Secret",
        help_text="Only where the sender makes it, as Stripe and Slack do. Otherwise one is made, and shown once.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    paths: ClassVar[dict[str, str]] = {"secret": "own_secret"}
    #: Of what was just made.
    new_secret = ""

    class Meta:
        model = Webhook
        fields = ["graph", "name", "scheme", "event_name", "is_enabled"]
        labels: ClassVar[dict[str, str]] = {"is_enabled": "On"}

    def carry_out(self) -> Webhook:
        """Make it."""
        given = self.cleaned_data
        webhook, self.new_secret = own_webhooks.create(
            graph=given["graph"], scheme=given["scheme"], secret=given["own_secret"], **self.asked
        )
        return webhook


class WebhookForm(_Settings):
    """Change a webhook."""

    class Meta:
        model = Webhook
        fields = ["name", "event_name", "is_enabled"]
        labels: ClassVar[dict[str, str]] = {"is_enabled": "On"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["events"] = "\n".join(self.instance.events)
        self.initial["mapping"] = self.instance.mapping

    def carry_out(self) -> Webhook:
        """Change it."""
        return own_webhooks.update(self.instance, **self.asked)
