"""What the description of the API says of every address: how a refusal looks, and of what can be edited, its tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from agentplatform.lib import etags
from agentplatform.lib.asking import WithoutSlips

PROBLEM = {
    "type": "object",
    "description": "Why something was refused (RFC 9457), with a code that stays the same.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "hint": {"type": "string", "description": "What to do about it."},
        "path": {"type": "string", "description": "The field that is wrong, if it is one."},
        "shortfall_microcredits": {
            "type": "integer",
            "description": "How much there is too little of credit or of a budget (402).",
        },
        "errors": {
            "type": "array",
            "description": "Everything that is wrong, field by field.",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["code", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "code", "message", "hint"],
}
REFUSAL = {
    "description": "Refused.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
}
TAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, description="Of the state that is shown.", response=[200])
IF_MATCH = OpenApiParameter(
    etags.IF_MATCH,
    str,
    OpenApiParameter.HEADER,
    description="An `ETag`: it is changed only if it is still so (else 412).",
)
IF_NONE_MATCH = OpenApiParameter(
    etags.IF_NONE_MATCH,
    str,
    OpenApiParameter.HEADER,
    description="An `ETag`: it is shown only if it is not so any more (else 304).",
)
#: What fields of a body have to do with each other, by the name of its schema.
TOGETHER = {
    "Start": {"oneOf": [{"required": ["graph"]}, {"required": ["version"]}]},
    "Try": {"oneOf": [{"required": ["sample"]}, {"required": ["payload"]}]},
    "WebhookAsk": {"not": {"required": ["scheme", "provider"]}},
}
METHODS = frozenset({"get", "post", "put", "patch", "delete"})


class TaggedSchema(AutoSchema):
    """Describes the headers of what can be edited, that a filter has something to say, and that a body has no other fields."""

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        described: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        return described | {"additionalProperties": False} if isinstance(serializer, WithoutSlips) else described

    def _get_filter_parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._get_filter_parameters()
        for one in parameters:
            schema = one["schema"]
            if schema.get("type") == "string" and not schema.keys() & {"enum", "format"}:
                schema["minLength"] = 1
        return parameters

    def get_override_parameters(self) -> list[Any]:
        """Return the headers that an operation takes and answers with."""
        action = getattr(self.view, "action", "")
        if not isinstance(self.view, etags.Editable):
            return []
        shown = [TAG] if action in etags.SHOWING else []
        if action == "retrieve":
            return [*shown, IF_NONE_MATCH]
        return [*shown, IF_MATCH] if action in etags.CHANGING else shown


def describe_refusals(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add to each operation how it refuses, and write each type once."""
    result["components"]["schemas"]["ProblemDetails"] = PROBLEM
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method in METHODS:
                operation["responses"].setdefault("default", REFUSAL)
                if any(one.get("name") == etags.IF_NONE_MATCH for one in operation.get("parameters", ())):
                    operation["responses"]["304"] = {"description": "You have it as it is."}
    for name, rule in TOGETHER.items():
        result["components"]["schemas"][name] |= rule
    _single_types(result)
    _blank_answers(result)
    return result


def _blank_answers(result: dict[str, Any]) -> None:
    """Take back that texts are not blank where that is true of what is asked only: an answer may have nothing to say."""
    schemas = result["components"]["schemas"]
    operations = [one for path in result["paths"].values() for method, one in path.items() if method in METHODS]
    asked: set[str] = set()
    fresh = {name for one in operations for name in _names_in(one.get("requestBody"))}
    while fresh := fresh - asked:
        asked |= fresh
        fresh = {name for one in fresh for name in _names_in(schemas[one])}
    for name in schemas.keys() - asked:
        _let_be_blank(schemas[name])


def _names_in(part: Any) -> Iterator[str]:
    """Yield the schemas that a part of the description refers to."""
    if isinstance(part, dict):
        if isinstance(name := part.get("$ref"), str):
            yield name.rpartition("/")[2]
        for one in part.values():
            yield from _names_in(one)
    elif isinstance(part, list):
        for one in part:
            yield from _names_in(one)


def _let_be_blank(part: Any) -> None:
    if isinstance(part, dict):
        if part.get("minLength") == 1:
            del part["minLength"]
        for one in part.values():
            _let_be_blank(one)
    elif isinstance(part, list):
        for one in part:
            _let_be_blank(one)


def _single_types(part: Any) -> None:
    """Write `null` once where a field may be null for two reasons."""
    if isinstance(part, dict):
        if isinstance(kinds := part.get("type"), list):
            part["type"] = list(dict.fromkeys(kinds))
        for one in part.values():
            _single_types(one)
    elif isinstance(part, list):
        for one in part:
            _single_types(one)
