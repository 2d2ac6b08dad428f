"""Whether a value of one JSON schema can ever be accepted by another (pure); in doubt, it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphs.pins import ATTRIBUTE, INDEX, Pin

Schema = Mapping[str, Any]

ANY = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_NUMBER_LIKE = frozenset({"number", "integer", "boolean", "string"})
#: What blocks take for each type, given that their schemas convert between scalars ("3" to 3) but never to text.
_ACCEPTED: Mapping[str, frozenset[str]] = {
    "string": frozenset({"string"}),
    "number": _NUMBER_LIKE,
    "integer": _NUMBER_LIKE,
    "boolean": _NUMBER_LIKE,
    "object": frozenset({"object"}),
    "array": frozenset({"array"}),
    "null": frozenset({"null"}),
}
_MAX_REFERENCES = 20


def fits(source: Schema, sink: Schema) -> bool:
    """Say whether at least one value of `source` may be accepted by `sink`."""
    return bool(kinds(source) & accepted(sink))


def kinds(schema: Schema) -> frozenset[str]:
    """Return the JSON types that a value of this schema may have."""
    return frozenset().union(*(_own_kinds(branch) for branch in _branches(schema)))


def accepted(schema: Schema) -> frozenset[str]:
    """Return the JSON types of which some value is accepted by this schema."""
    found: frozenset[str] = frozenset()
    for branch in _branches(schema):
        found = found.union(*(_ACCEPTED[kind] for kind in _own_kinds(branch)))
        if "format" in branch:  # a date is also read from a number
            found |= _NUMBER_LIKE
    return found


def part(schema: Schema, pin: Pin) -> Schema:
    """Return the schema of the part of a value that the steps of `pin` lead to; `{}` where nothing is said of it."""
    for kind, where in pin.steps:
        branches = [branch for branch in _branches(schema) if _own_kinds(branch) != {"null"}]
        if len(branches) != 1:
            return {}
        schema = _step(branches[0], kind, where)
    return schema


def _step(schema: Schema, kind: str, where: str | int) -> Schema:
    definitions = {"$defs": schema.get("$defs", {})}
    inner: Any = schema.get("properties", {}).get(where) or schema.get("additionalProperties")
    if kind == INDEX:
        inner = {} if "prefixItems" in schema else schema.get("items")
    elif kind == ATTRIBUTE and "properties" not in schema:
        inner = {}  # an attribute of something that is no model: anything
    return {**inner, **definitions} if isinstance(inner, dict) else {}


def _branches(schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema, with references followed."""
    definitions = schema.get("$defs", {})
    waiting: list[dict[str, Any]] = [dict(schema)]
    found: list[Schema] = []
    followed = 0
    while waiting:
        branch = waiting.pop()
        alternatives = branch.get("anyOf") or branch.get("oneOf")
        if "$ref" in branch and followed < _MAX_REFERENCES:
            followed += 1
            waiting.append(definitions.get(branch["$ref"].rpartition("/")[2], {}))
        elif alternatives:
            waiting.extend(alternatives)
        else:
            found.append({**branch, "$defs": definitions})
    return found


def _own_kinds(schema: Schema) -> frozenset[str]:
    kind = schema.get("type")
    if isinstance(kind, list):
        return frozenset(kind) & ANY
    return frozenset({kind}) if kind in ANY else ANY


def names(of: frozenset[str]) -> str:
    """Return JSON types as a person reads them."""
    return "anything" if of == ANY else " or ".join(sorted(of))
