"""Write the types of the client from the platform's OpenAPI schema. `bin/client-types` does it, a test sees that it was done."""

from __future__ import annotations

import json
import keyword
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TYPES = Path(__file__).parent / "src" / "agentplatform_client" / "types.py"
#: What the client asks for; the schemas of everything else stay out.
OPERATIONS = (
    ("get", "/api/v1/approvals/"),
    ("post", "/api/v1/approvals/{id}/answer/"),
    ("get", "/api/v1/blocks/"),
    ("get", "/api/v1/budgets/"),
    ("post", "/api/v1/budgets/"),
    ("get", "/api/v1/credentials/"),
    ("post", "/api/v1/credentials/{id}/test/"),
    ("get", "/api/v1/credentials/{id}/used-by/"),
    ("post", "/api/v1/events/"),
    ("get", "/api/v1/executions/"),
    ("post", "/api/v1/executions/"),
    ("post", "/api/v1/executions/bulk/cancel/"),
    ("get", "/api/v1/executions/{id}/"),
    ("post", "/api/v1/executions/{id}/cancel/"),
    ("post", "/api/v1/executions/{id}/pause/"),
    ("post", "/api/v1/executions/{id}/resume/"),
    ("post", "/api/v1/executions/{id}/retry/"),
    ("post", "/api/v1/executions/{id}/retry/preview/"),
    ("get", "/api/v1/executions/{execution_id}/events/"),
    ("get", "/api/v1/executions/{execution_id}/nodes/"),
    ("get", "/api/v1/files/"),
    ("post", "/api/v1/files/"),
    ("get", "/api/v1/files/{id}/"),
    ("get", "/api/v1/graphs/"),
    ("post", "/api/v1/graphs/"),
    ("get", "/api/v1/graphs/{id}/"),
    ("put", "/api/v1/graphs/{id}/"),
    ("get", "/api/v1/graphs/{id}/export/"),
    ("post", "/api/v1/graphs/{id}/publish/"),
    ("get", "/api/v1/graphs/{id}/versions/"),
    ("post", "/api/v1/graphs/validate/"),
    ("get", "/api/v1/ledger/"),
    ("get", "/api/v1/ledger/balance/"),
    ("get", "/api/v1/ledger/costs/"),
    ("get", "/api/v1/schedules/"),
    ("get", "/api/v1/schedules/{id}/"),
    ("get", "/api/v1/schedules/{schedule_id}/fires/"),
    ("get", "/api/v1/subscriptions/"),
    ("post", "/api/v1/subscriptions/"),
    ("post", "/api/v1/subscriptions/{id}/resend/"),
    ("get", "/api/v1/subscriptions/{subscription_id}/deliveries/"),
    ("get", "/api/v1/subscriptions/{subscription_id}/deliveries/{id}/"),
    ("get", "/api/v1/webhooks/"),
    ("post", "/api/v1/webhooks/"),
    ("get", "/api/v1/webhooks/{webhook_id}/deliveries/"),
    ("get", "/api/v1/webhooks/{webhook_id}/deliveries/{id}/"),
)
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
HEAD = '''"""What the platform's answers hold. Written by `bin/client-types` from its OpenAPI schema: not by hand."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
'''


class Missing(Exception):
    """The platform does not offer what the client asks for."""


def written(schema: dict[str, Any]) -> str:
    """Return the text of the module.

    Raises:
        Missing: an operation that the client uses is not there.
    """
    components = schema["components"]["schemas"]
    names = sorted(_reachable(schema, components))
    return "\n\n".join([HEAD, *(f"{_definition(name, components[name])}\n" for name in names)])


def _reachable(schema: dict[str, Any], components: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    fresh = set()
    for method, path in OPERATIONS:
        if (operation := schema["paths"].get(path, {}).get(method)) is None:
            raise Missing(f"The API has no {method.upper()} {path}.")
        fresh |= set(_names_in(operation))
    while fresh := fresh - found:
        found |= fresh
        fresh = {name for one in fresh for name in _names_in(components[one])}
    return found


def _names_in(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in part.values():
            yield from _names_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from _names_in(value)


def _definition(name: str, component: dict[str, Any]) -> str:
    fields = component.get("properties")
    if component.get("type") != "object" or fields is None:
        return f"{name}: TypeAlias = {_type(component)!r}"
    required = set(component.get("required", ()))
    types = {field: _type(one) if field in required else f"NotRequired[{_type(one)}]" for field, one in fields.items()}
    if not types or not all(field.isidentifier() and not keyword.iskeyword(field) for field in types):
        inside = "".join(f'    "{field}": {json.dumps(text)},\n' for field, text in types.items())
        return f'{name} = TypedDict("{name}", {{\n{inside}}})'
    inside = "".join(f"    {field}: {text}\n" for field, text in types.items())
    about = " ".join(component.get("description", "").split())
    return f"class {name}(TypedDict):\n" + (f'    """{about}"""\n\n' if about else "") + inside.rstrip("\n")


def _type(schema: dict[str, Any]) -> str:
    if isinstance(reference := schema.get("$ref"), str):
        return reference.rpartition("/")[2]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return _union(_type(one) for one in schema[several])
    if "allOf" in schema:
        return _type(schema["allOf"][0]) if len(schema["allOf"]) == 1 else "dict[str, Any]"
    if "enum" in schema:
        return _union("None" if value is None else f"Literal[{json.dumps(value)}]" for value in schema["enum"])
    if "const" in schema:
        return f"Literal[{json.dumps(schema['const'])}]"
    kinds = schema.get("type", [])
    return _union(_plain(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)) or "Any"


def _plain(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array":
        items = schema.get("items")
        return f"list[{_type(items) if isinstance(items, dict) else 'Any'}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {_type(values) if isinstance(values, dict) and values else 'Any'}]"
    return PLAIN[kind]


def _union(types: Any) -> str:
    options = list(dict.fromkeys(types))
    literals = [one.removeprefix("Literal[").removesuffix("]") for one in options if one.startswith("Literal[")]
    others = [one for one in options if not one.startswith("Literal[")]
    return " | ".join([*([f"Literal[{', '.join(literals)}]"] if literals else []), *others])


if __name__ == "__main__":
    TYPES.write_text(written(json.load(sys.stdin)), encoding="utf-8")
