"""Files as the API shows and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer
from files.models import File


class FileSerializer(serializers.ModelSerializer[File]):
    """A file, without its content."""

    execution = serializers.UUIDField(
        source="execution_id",
        read_only=True,
        allow_null=True,
        help_text="The one that wrote it; null: it was uploaded.",
    )

    class Meta:
        model = File
        fields = ["id", "name", "content_type", "size", "sha256", "execution", "created_at", "expires_at"]
        read_only_fields = fields


class AskFileSerializer(AskSerializer[Any]):
    """A file to be kept. Its name and its type are those that the form gives."""

    file = serializers.FileField(allow_empty_file=True, max_length=None)
    expires_at = serializers.DateTimeField(
        required=False, help_text="When it is deleted; without it, it is kept until somebody deletes it."
    )


class RemoveFileSerializer(serializers.Serializer[Any]):
    """How a file is to be removed."""

    force = serializers.BooleanField(
        default=False, help_text="Also if an execution uses it that has not ended; what needs it then fails."
    )
