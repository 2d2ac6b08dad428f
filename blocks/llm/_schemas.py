"""Whether what a model wrote is what a JSON schema asks for. Both come from outside: neither may cost more than it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

MAX_SCHEMA_CHARACTERS = 50_000
#: References followed in one comparison: a few that lead to each other twice would never end.
MAX_REFERENCES = 10_000
FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL | re.IGNORECASE)


class _TooMuch(Exception):
    pass


def is_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema that can be used.

    Raises:
        ValueError: it is none, or too long.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    text = json.dumps(schema)
    if '"patternProperties"' in text:
        # It compares names with patterns that may take forever.
        raise ValueError("patternProperties can not be used here")
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise ValueError(f"a schema has at most {MAX_SCHEMA_CHARACTERS} characters")
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        raise ValueError(
            f"this is no JSON schema: {getattr(error, 'message', 'it is nested too deep')}"[:300]
        ) from None
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(is_schema)]


def read(text: str, schema: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the value that a text holds, and what is wrong with it: nothing if that is empty."""
    fenced = FENCED.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None, "It is not JSON."
    return value, problem_of(value, schema)


def problem_of(value: Any, schema: Mapping[str, Any]) -> str:
    """Return what of `value` does not fit, or nothing."""
    from jsonschema.exceptions import UnknownType, best_match
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(_validator(schema).iter_errors(value))
    except (Unresolvable, UnknownType):
        return "The schema refers to what is not in it."
    except (_TooMuch, RecursionError):
        return "The schema leads in circles."
    if error is None:
        return ""
    place = ".".join(map(str, error.absolute_path))
    return f"{f'At {place}: ' if place else ''}{error.message[:300]}."


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    left = MAX_REFERENCES

    def counted(name: str) -> Any:
        follow = Draft202012Validator.VALIDATORS[name]

        def check(validator: Any, reference: Any, instance: Any, here: Any) -> Iterator[Any]:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooMuch
            yield from follow(validator, reference, instance, here) or ()

        return check

    keywords = {"$ref": counted("$ref"), "$dynamicRef": counted("$dynamicRef"), "pattern": _pattern}
    # A registry of its own: without one, a reference to another address would be fetched.
    return extend(Draft202012Validator, keywords)(schema, registry=Registry())


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[Any]:
    """Compare a text with a pattern in linear time."""
    import re2
    from jsonschema.exceptions import ValidationError

    options = re2.Options()
    options.log_errors = False
    if isinstance(instance, str):
        try:
            found = re2.compile(pattern, options).search(instance)
        except re2.error:
            found = None
        if not found:
            yield ValidationError(f"{instance[:80]!r} does not match {pattern[:80]!r}")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
