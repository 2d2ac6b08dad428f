"""What the API is asked: nothing is passed over, and nothing is made into what it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

Asked = TypeVar("Asked")


class WithoutSlips:
    """Makes a serializer refuse names that are none: without its limit, what was meant to have one would have none."""

    #: What the answer shows and a change may send back as it came: it is passed over.
    shown: ClassVar[frozenset[str]] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        """Return what is asked.

        Raises:
            ValidationError: a field is wrong, or there is no such field.
        """
        fields = self.fields  # type: ignore[attr-defined]
        if isinstance(data, Mapping):
            there_are = ", ".join(name for name, field in fields.items() if not field.read_only)
            slips = {
                name: [ErrorDetail(f"There is no such field. There are: {there_are}.", code="unknown")]
                for name in map(str, data)
                if name not in fields and name not in self.shown
            }
            if slips:
                raise ValidationError(slips)
        return super().to_internal_value(data)  # type: ignore[misc]


class AskSerializer(WithoutSlips, serializers.Serializer[Asked]):
    """What is sent in a body."""


class TextField(serializers.CharField):
    """A text, and no number that would be made one."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text.

        Raises:
            ValidationError: it is something else.
        """
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IdField(serializers.UUIDField):
    """An id as it is written, and no number that would be made one."""

    def to_internal_value(self, data: Any) -> UUID:
        """Return the id.

        Raises:
            ValidationError: it is something else.
        """
        if not isinstance(data, str | UUID):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)
