"""The pins of a block, read from its schemas, and the check of each value that passes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from blocks.errors import InputInvalid, OutputInvalid
from blocks.jsonable import clean_float, clean_int, clean_text, jsonable
from blocks.sdk import Block

Made = TypeVar("Made")

#: Every node has it, whatever its block: what went wrong comes out here.
ERROR_PIN = "error"
_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("code", "message", "hint")},
    "required": ["code", "message", "hint"],
}


@dataclass(frozen=True, slots=True)
class PinFacts:
    """One pin as the outside sees it: the JSON schema of its values, and whether a node must fill it."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool
    description: str = ""


def _once_per_block(make: Callable[[type[Block]], Made]) -> Callable[[type[Block]], Made]:
    """Remember what `make` returns: schemas do not change, and every firing asks."""
    made: dict[type[Block], Made] = {}

    @wraps(make)
    def remembered(block: type[Block]) -> Made:
        if block not in made:
            made[block] = make(block)
        return made[block]

    return remembered


@_once_per_block
def input_pins(block: type[Block]) -> Mapping[str, PinFacts]:
    """Return the input pins of `block` by name, in the order they are declared."""
    return _pins(block.input_schema, "validation")


@_once_per_block
def output_pins(block: type[Block]) -> Mapping[str, PinFacts]:
    """Return the output pins of `block` by name, in the order they are declared, then `error`."""
    pins = dict(_pins(block.output_schema, "serialization"))
    pins[ERROR_PIN] = PinFacts(ERROR_PIN, _ERROR_SCHEMA, is_required=False, description="What went wrong, if it did.")
    return pins


def _pins(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> Mapping[str, PinFacts]:
    whole = model.model_json_schema(by_alias=False, mode=mode, schema_generator=_AnySchema)
    definitions = whole.get("$defs", {})
    return {
        name: PinFacts(
            name=name,
            schema=_fragment(whole.get("properties", {}).get(name, {}), definitions),
            is_required=field.is_required(),
            description=field.description or "",
        )
        for name, field in model.model_fields.items()
    }


class _AnySchema(GenerateJsonSchema):
    """Describes a type that JSON schema can not describe as any value, instead of failing."""

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        return {}


def _fragment(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return schema | {"$defs": definitions} if "$ref" in str(schema) else schema


def validate_input(block: type[Block], values: Mapping[str, Any]) -> BaseModel:
    """Return the block's input made of `values`, one for each pin.

    Raises:
        InputInvalid: a pin is missing, unknown or has a value that does not fit; its `path` is the first such pin.
    """
    try:
        return block.input_schema.model_validate(values, by_name=True)
    except ValidationError as error:
        raise InputInvalid(f"{block.name}: {_told(error)}", path=_first_place(error)) from None


def validate_output(block: type[Block], pin: str, value: Any) -> Any:
    """Return the JSON form of a value that `block` yielded on `pin`.

    Raises:
        OutputInvalid: there is no such pin, or the value does not fit it or has no JSON form.
    """
    checks = _output_checks(block)
    check = checks.get(pin) if isinstance(pin, str) else None
    if check is None:
        raise OutputInvalid(
            f"{block.name} yielded on {pin!r}, which is none of its pins: {', '.join(checks)}.", path=str(pin)
        )
    try:
        return check(value)
    except ValidationError as error:
        raise OutputInvalid(f"{block.name} yielded on {pin!r}: {_told(error)}", path=pin) from None
    except ValueError as error:
        raise OutputInvalid(f"{block.name} yielded on {pin!r}: {error}.", path=pin) from None


@_once_per_block
def _output_checks(block: type[Block]) -> dict[str, Callable[[Any], Any]]:
    model = block.output_schema
    return {name: _check_of(field, model.model_config) for name, field in model.model_fields.items()}


def _check_of(field: FieldInfo, config: ConfigDict) -> Callable[[Any], Any]:
    annotation = field.annotation
    if annotation is Any and not field.metadata:
        return jsonable
    adapter = _adapter(field, config)

    def by_adapter(value: Any) -> Any:
        # Not the dump's own JSON mode: it turns NaN into null without a word.
        return jsonable(adapter.dump_python(adapter.validate_python(value), by_alias=False))

    # A plain value on a plain pin needs no adapter: this is what most pins carry, and each firing pays for it.
    scalar: dict[Any, Callable[[Any], Any]] = {str: clean_text, int: clean_int, float: clean_float, bool: bool}
    clean = None if field.metadata else scalar.get(annotation)
    if clean is None:
        return by_adapter
    return lambda value: clean(value) if type(value) is annotation else by_adapter(value)


def _adapter(field: FieldInfo, config: ConfigDict) -> TypeAdapter[Any]:
    annotation: Any = field.annotation
    for constraint in field.metadata:
        annotation = Annotated[annotation, constraint]
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        return TypeAdapter(annotation)  # a model brings its own configuration
    return TypeAdapter(
        annotation, config=ConfigDict(arbitrary_types_allowed=config.get("arbitrary_types_allowed", False))
    )


#: What pydantic says of a pin, in words of ours.
_WORDS = {"extra_forbidden": "there is no such pin", "missing": "it needs a value"}


def _told(error: ValidationError) -> str:
    """Say what is wrong without repeating the value: it may be long, or a secret."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    words = [_WORDS.get(one["type"], one["msg"]) if len(one["loc"]) == 1 else one["msg"] for one in problems[:5]]
    told = [f"{_place(one)}: {word}" if one["loc"] else word for one, word in zip(problems[:5], words, strict=True)]
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return "; ".join(told) + more + "."


def _first_place(error: ValidationError) -> str:
    return _place(error.errors(include_input=False, include_url=False, include_context=False)[0])


def _place(problem: ErrorDetails) -> str:
    return ".".join(map(str, problem["loc"]))
