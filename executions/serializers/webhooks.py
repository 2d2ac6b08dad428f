"""Webhooks and deliveries as the API shows them. A secret is shown once, when it is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.reverse import reverse

from agentplatform.lib.asking import AskSerializer, IdField, TextField
from executions.models import Delivery, Webhook
from executions.own_webhooks import LONGEST_OVERLAP, OVERLAP
from integrations import providers
from integrations.providers import ProviderUnknown
from integrations.signatures import LONGEST_SECRET, SignatureScheme

SCHEMES = [scheme.value for scheme in SignatureScheme]
SENDERS = [one.name for one in providers.ALL if one.signature_scheme]


class StrictBooleanField(serializers.BooleanField):
    """Yes or no, and nothing that could be meant so."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the value."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


@extend_schema_field({"type": "string", "enum": SENDERS})
class SenderField(TextField):
    """A provider that sends webhooks."""


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    """A webhook, without its secret."""

    graph = serializers.UUIDField(source="graph_id", read_only=True)
    graph_name = serializers.CharField(source="graph.name", read_only=True)
    url = serializers.SerializerMethodField(help_text="Where to send to.")
    secret_last4 = serializers.CharField(source="last4", read_only=True, help_text="The end of the secret.")
    secret_changed_at = serializers.DateTimeField(source="changed_at", read_only=True)
    previous_secret_until = serializers.SerializerMethodField(
        help_text="Until when the secret before is taken too; null if there is none."
    )

    class Meta:
        model = Webhook
        fields = [
            "id",
            "name",
            "graph",
            "graph_name",
            "url",
            "scheme",
            "events",
            "mapping",
            "event_name",
            "is_enabled",
            "secret_last4",
            "secret_changed_at",
            "previous_secret_until",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.URLField())
    def get_url(self, webhook: Webhook) -> str:
        request: HttpRequest | None = self.context.get("request")
        return reverse("webhook", kwargs={"webhook_id": webhook.pk}, request=request)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_previous_secret_until(self, webhook: Webhook) -> Any:
        return webhook.previous_until if webhook.previous_secret is not None else None


class NewWebhookSerializer(WebhookSerializer):
    """A webhook that was just made, with its secret."""

    secret = serializers.CharField(read_only=True, help_text="Shown this once: give it to whoever sends.")

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class _Settings(AskSerializer[Any]):
    name = TextField(max_length=200)
    events = serializers.ListField(
        child=TextField(max_length=200),
        required=False,
        help_text="What else comes is ignored: `issues` takes `issues.opened` too. Empty: everything is taken.",
    )
    mapping = serializers.DictField(
        child=TextField(allow_blank=True, trim_whitespace=False),
        required=False,
        help_text="By input of the graph: a JSON pointer into the payload, or `header:` and a name.",
    )
    event_name = TextField(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="What comes is given to your firings that wait for this event; only if none does, the graph is started.",
    )
    is_enabled = StrictBooleanField(required=False, help_text="What comes while it is off is kept and starts nothing.")


class WebhookAskSerializer(_Settings):
    """A new webhook: of one of your graphs, signed by a scheme or as a provider signs."""

    graph = IdField(help_text="Its latest published version is started.")
    scheme = serializers.ChoiceField(choices=SCHEMES, required=False, help_text="How deliveries are signed.")
    provider = SenderField(required=False, help_text="Instead of a scheme: who sends, such as `github`.")
    secret = TextField(
        required=False,
        write_only=True,
        max_length=LONGEST_SECRET,
        trim_whitespace=False,
        help_text="Where the sender makes it, as Stripe and Slack do. Otherwise one is made.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Find the scheme of a provider."""
        if "provider" not in attrs:
            return {"scheme": SignatureScheme.GENERIC.value, **attrs}
        if "scheme" in attrs:
            raise ValidationError({"provider": "Give either `scheme` or `provider`."})
        try:
            scheme = providers.get(attrs.pop("provider")).signature_scheme
        except ProviderUnknown as error:
            raise ValidationError({"provider": error.message}) from None
        if not scheme:
            raise ValidationError({"provider": "This provider sends no webhooks; give a `scheme`."})
        return {**attrs, "scheme": scheme}


class WebhookChangeSerializer(_Settings):
    """What of a webhook can be changed."""

    shown = frozenset(WebhookSerializer.Meta.fields)

    name = TextField(max_length=200, required=False)


class RotateSerializer(AskSerializer[Any]):
    """Another secret for a webhook."""

    secret = TextField(
        required=False, write_only=True, max_length=LONGEST_SECRET, trim_whitespace=False, help_text="Else one is made."
    )
    overlap_s = serializers.IntegerField(
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        default=int(OVERLAP.total_seconds()),
        help_text="So long the secret before is taken too. 0 if somebody knows it who should not.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the overlap as a span of time."""
        return {"secret": attrs.get("secret", ""), "overlap": timedelta(seconds=attrs["overlap_s"])}


class TrySerializer(AskSerializer[Any]):
    """What to send to a webhook, to see what it makes of it."""

    sample = TextField(required=False, max_length=100, help_text="The name of a sample of its scheme.")
    payload = serializers.JSONField(required=False, allow_null=True, help_text="Instead of a sample.")
    event = TextField(required=False, max_length=200, help_text="What has happened, where a header says it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a request that names both or neither."""
        if ("sample" in attrs) == ("payload" in attrs):
            raise ValidationError("Give either `sample` or `payload`.", code="sample_or_payload")
        return attrs


class SampleSerializer(serializers.Serializer[Any]):
    """What a sender of this scheme sends."""

    name = serializers.CharField()
    event = serializers.CharField()
    payload = serializers.JSONField()


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """What came to a webhook, and what became of it."""

    webhook = serializers.UUIDField(source="webhook_id", read_only=True)
    execution = serializers.UUIDField(source="execution_id", read_only=True, allow_null=True)
    replay_of = serializers.UUIDField(source="replay_of_id", read_only=True, allow_null=True)
    name = serializers.SerializerMethodField(help_text="The id that its sender gave it; empty without one.")

    class Meta:
        model = Delivery
        fields = [
            "id",
            "webhook",
            "name",
            "event",
            "status",
            "reason",
            "message",
            "execution",
            "replay_of",
            "size_bytes",
            "received_at",
        ]
        read_only_fields = fields

    def get_name(self, delivery: Delivery) -> str:
        return delivery.given_id


class DeliveryDetailSerializer(DeliverySerializer):
    """The same with what it brought."""

    payload = serializers.JSONField(read_only=True, help_text="The secret of the webhook is masked in it.")
    headers = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "payload", "headers"]
        read_only_fields = fields
