"""Subscriptions and what goes out to them, as the API shows them. A secret is shown once, when it is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer, IdField, TextField
from executions.engine.outgoing import KINDS, OutgoingEvent
from executions.models import OutgoingDelivery, Subscription
from executions.models.subscription import MAX_EVENT, MAX_URL
from executions.own_subscriptions import MAX_NAME
from executions.own_webhooks import LONGEST_OVERLAP, OVERLAP
from executions.serializers.webhooks import StrictBooleanField


@extend_schema_field({"type": "string", "enum": [*KINDS, *OutgoingEvent]})
class EventField(TextField):
    """An event that is told, or a kind of them."""


@extend_schema_field({"type": "string", "pattern": "^https?://", "minLength": 1, "maxLength": MAX_URL})
class AddressField(TextField):
    """An address to send to."""


class SubscriptionSerializer(serializers.ModelSerializer[Subscription]):
    """A subscription, without its secret."""

    graph = serializers.UUIDField(source="graph_id", read_only=True, allow_null=True)
    graph_name = serializers.CharField(source="graph.name", default=None, read_only=True, allow_null=True)
    secret_last4 = serializers.CharField(source="last4", read_only=True, help_text="The end of the secret.")
    secret_changed_at = serializers.DateTimeField(source="changed_at", read_only=True)
    previous_secret_until = serializers.SerializerMethodField(
        help_text="Until when is signed with the secret before too; null if there is none."
    )
    disabled_reason = serializers.CharField(
        read_only=True, help_text="Why it is off: `TURNED_OFF`, `RECEIVER_GONE` or `NOT_HEARD`; empty while it is on."
    )
    failures = serializers.IntegerField(read_only=True, help_text="Attempts that have failed since one last did not.")
    heard_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="When one last did not.")

    class Meta:
        model = Subscription
        fields = [
            "id",
            "name",
            "url",
            "graph",
            "graph_name",
            "events",
            "is_enabled",
            "disabled_reason",
            "disabled_at",
            "failures",
            "heard_at",
            "secret_last4",
            "secret_changed_at",
            "previous_secret_until",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_previous_secret_until(self, subscription: Subscription) -> Any:
        return subscription.previous_until if subscription.previous_secret is not None else None


class NewSubscriptionSerializer(SubscriptionSerializer):
    """A subscription that was just made, with its secret."""

    secret = serializers.CharField(read_only=True, help_text="Shown this once: give it to whoever receives.")

    class Meta(SubscriptionSerializer.Meta):
        fields = [*SubscriptionSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class SubscriptionAskSerializer(AskSerializer[Any]):
    """A new subscription."""

    name = TextField(max_length=MAX_NAME)
    url = AddressField(
        max_length=MAX_URL, help_text="Where to send to: a public https address, or a private one the operator allows."
    )
    events = serializers.ListField(
        child=EventField(max_length=MAX_EVENT),
        required=False,
        help_text="Such as `execution.failed`, or a kind, such as `approval`. Empty: everything is told.",
    )
    graph = IdField(
        required=False, allow_null=True, help_text="Only what happens to its executions is told. Null: to all of yours."
    )
    is_enabled = StrictBooleanField(required=False, help_text="While it is off, nothing is told, later neither.")


class SubscriptionChangeSerializer(SubscriptionAskSerializer):
    """What of a subscription can be changed."""

    shown = frozenset(SubscriptionSerializer.Meta.fields)

    name = TextField(max_length=MAX_NAME, required=False)
    url = AddressField(max_length=MAX_URL, required=False)


class SubscriptionRotateSerializer(AskSerializer[Any]):
    """Another secret for a subscription."""

    overlap_s = serializers.IntegerField(
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        default=int(OVERLAP.total_seconds()),
        help_text="So long is signed with the secret before too. 0 if somebody knows it who should not.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the overlap as a span of time."""
        return {"overlap": timedelta(seconds=attrs["overlap_s"])}


class ResendSerializer(AskSerializer[Any]):
    """What to send once more."""

    since = serializers.DateTimeField(help_text="What was given up at this moment or later.")


class ResentSerializer(serializers.Serializer[Any]):
    """How many are sent once more."""

    deliveries = serializers.IntegerField()


class OutgoingDeliverySerializer(serializers.ModelSerializer[OutgoingDelivery]):
    """What a subscription is told of one event, and how far that has come."""

    subscription = serializers.UUIDField(source="subscription_id", read_only=True)
    subject = serializers.UUIDField(
        source="subject_id", read_only=True, help_text="The execution, the wait, or of a test its own id."
    )
    execution = serializers.UUIDField(source="execution_id", read_only=True, allow_null=True)
    status_code = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="What was answered last; null if nothing was."
    )
    error_code = serializers.CharField(read_only=True, help_text="Why the last attempt failed; empty if it did not.")

    class Meta:
        model = OutgoingDelivery
        fields = [
            "id",
            "subscription",
            "event",
            "subject",
            "execution",
            "status",
            "attempts",
            "next_at",
            "status_code",
            "error_code",
            "error_message",
            "created_at",
            "ended_at",
        ]
        read_only_fields = fields


class LoggedAttemptSerializer(serializers.Serializer[Any]):
    """One attempt."""

    at = serializers.DateTimeField()
    status_code = serializers.IntegerField(allow_null=True)
    error_code = serializers.CharField(allow_blank=True)
    seconds = serializers.FloatField(help_text="How long it took.")


class OutgoingDeliveryDetailSerializer(OutgoingDeliverySerializer):
    """The same with what is told, what was answered, and all attempts."""

    payload = serializers.JSONField(read_only=True)
    hops = serializers.IntegerField(read_only=True, help_text="How many deliveries led to this one, itself among them.")
    answer = serializers.CharField(read_only=True, help_text="The beginning of what was answered last, masked.")
    log = LoggedAttemptSerializer(many=True, read_only=True, help_text="The latest attempts, the newest last.")

    class Meta(OutgoingDeliverySerializer.Meta):
        fields = [*OutgoingDeliverySerializer.Meta.fields, "payload", "hops", "answer", "log"]
        read_only_fields = fields
