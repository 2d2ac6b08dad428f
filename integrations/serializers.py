"""Credentials as the API takes and shows them: a secret goes in, and never comes out."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer, TextField
from integrations.models import HIGHEST_RATE, KINDS, LOWEST_RATE, MOST_CONCURRENT, Credential
from integrations.providers import ALL
from integrations.services import LONGEST_SECRET, MOST_HOSTS


class CredentialSerializer(serializers.ModelSerializer[Credential]):
    """A credential, without its secret."""

    group = serializers.CharField(source="group.name", default=None, read_only=True)
    hint = serializers.CharField(read_only=True, help_text="Its last four characters, or its fingerprint.")
    is_own = serializers.SerializerMethodField(help_text="It is yours; else a group of yours shares it.")
    is_expired = serializers.BooleanField(read_only=True)
    is_expiring = serializers.BooleanField(read_only=True, help_text="It ends within 14 days.")
    is_revoked = serializers.SerializerMethodField()

    class Meta:
        model = Credential
        fields = [
            "id",
            "name",
            "provider",
            "kind",
            "hint",
            "last4",
            "fingerprint",
            "base_url",
            "allowed_hosts",
            "group",
            "max_concurrent",
            "rate_per_second",
            "is_own",
            "expires_at",
            "is_expired",
            "is_expiring",
            "is_revoked",
            "last_used_at",
            "created_at",
            "changed_at",
        ]
        read_only_fields = fields

    def get_is_own(self, credential: Credential) -> bool:
        return bool(credential.owner_id == self.context["request"].user.pk)

    def get_is_revoked(self, credential: Credential) -> bool:
        return credential.revoked_at is not None


class SecretField(serializers.DictField):
    """The parts of a secret, by name; `headers` has parts of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(write_only=True, **options)

    def to_internal_value(self, data: Any) -> Any:
        # Which parts there are, and how long, is the service's to say: its errors quote no value.
        return dict(data) if isinstance(data, dict) else self.fail("not_a_dict", input_type=type(data).__name__)


@extend_schema_field(serializers.CharField(allow_null=True))
class _OwnGroupField(serializers.SlugRelatedField[Group]):
    """A group of the user's own, by its name; of others they are not told whether these exist."""

    def get_queryset(self) -> QuerySet[Group]:
        return Group.objects.filter(user=self.context["request"].user.pk)


class _WritableSerializer(AskSerializer[Any]):
    name = TextField(max_length=200)
    base_url = TextField(max_length=500, required=False, allow_blank=True)
    allowed_hosts = serializers.ListField(child=TextField(max_length=300), max_length=MOST_HOSTS, required=False)
    group = _OwnGroupField(slug_field="name", required=False, allow_null=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    max_concurrent = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MOST_CONCURRENT,
        help_text="So many may use it at once, over all workers; null: as its provider says.",
    )
    rate_per_second = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=LOWEST_RATE,
        max_value=HIGHEST_RATE,
        help_text="So often a second it may be sent, by all workers together; null: as its provider says.",
    )


class AddSerializer(_WritableSerializer):
    """A new credential."""

    provider = serializers.ChoiceField(choices=[(one.name, one.title) for one in ALL])
    kind = serializers.ChoiceField(choices=KINDS)
    secret = SecretField(
        help_text="`api_key`; or `username` and `password`; or `headers`; or `client_id` and `client_secret`, "
        f"with `authorize_url`, `token_url` and `scopes` where the provider has none. At most {LONGEST_SECRET} characters each."
    )


class ChangeSerializer(_WritableSerializer):
    """What is changed of a credential; a secret that is given takes the place of the old one."""

    shown = frozenset(CredentialSerializer.Meta.fields)

    name = TextField(max_length=200, required=False)
    secret = SecretField(required=False)


class TrialSerializer(serializers.Serializer[Any]):
    """What a provider makes of a credential."""

    is_good = serializers.BooleanField()
    message = serializers.CharField()
    code = serializers.CharField(help_text="Empty if it is good.")


class UseSerializer(serializers.Serializer[Any]):
    """A node of yours that names a credential."""

    graph_id = serializers.UUIDField()
    graph = serializers.CharField()
    version = serializers.IntegerField(allow_null=True, help_text="None: what is drawn and not published.")
    node = serializers.CharField()
