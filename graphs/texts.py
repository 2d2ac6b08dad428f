"""JSON and YAML text to plain data, with limits that hold before anything is built from it."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import yaml

from agentplatform.lib import strict_json
from graphs.errors import DocumentRefused

Syntax = Literal["json", "yaml"]

MEGABYTE = 1024 * 1024
#: YAML is read some five times slower than JSON.
MAX_BYTES: dict[Syntax, int] = {"json": 5 * MEGABYTE, "yaml": MEGABYTE}
MAX_DEPTH = 50


def parse(text: str | bytes, syntax: Syntax) -> Any:
    """Return the data that `text` holds: only dicts with text keys, lists, text, finite numbers, booleans and None.

    Raises:
        DocumentRefused: too large, too deep, not of that syntax, or nothing that Postgres can store.
    """
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES[syntax]:
        raise DocumentRefused(
            f"The document has {size} bytes; as {syntax.upper()} it may have {MAX_BYTES[syntax]}.",
            hint="Split the graph.",
        )
    if syntax == "json":
        return strict_json.parse(text, max_depth=MAX_DEPTH, refuse=DocumentRefused)
    data = _parse_yaml(strict_json.decode(text, refuse=DocumentRefused) if isinstance(text, bytes) else text)
    check_plain(data)
    return data


def check_plain(value: Any, path: str = "") -> None:
    """Raise if `value` is not plain data that JSON and Postgres can hold.

    Raises:
        DocumentRefused: with the path of the first such value.
    """
    strict_json.check_plain(value, path, max_depth=MAX_DEPTH, refuse=DocumentRefused)


def _too_deep() -> DocumentRefused:
    return DocumentRefused(f"It is nested more than {MAX_DEPTH} deep.", hint="Flatten it.")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe, without aliases, with the words and numbers of YAML 1.2: `yes` is text, so is a date, so is `12:30`."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value]
        if any(not isinstance(key, yaml.ScalarNode) for key in keys):
            raise DocumentRefused("A key is not text.", hint="Write keys as plain text.")
        pairs = ((self.construct_object(key), self.construct_object(value, deep=True)) for key, value in node.value)
        return strict_json.unique(pairs, refuse=DocumentRefused)


_PATTERNS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
}
# YAML 1.1 reads 010 as eight.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def _parse_yaml(text: str) -> Any:
    try:
        _check_yaml_events(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader by inheritance
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentRefused(f"The document is not YAML: {' '.join(str(error).split())}.") from None


def _check_yaml_events(text: str) -> None:
    """Refuse aliases, which multiply, tags, which make objects, and depth, which recurses, before anything is built."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise DocumentRefused("The document uses YAML aliases.", hint="Write the value out where it is used.")
        if tag := getattr(event, "tag", None):
            raise DocumentRefused(f"The document uses the YAML tag {tag}.", hint="Write plain values.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _too_deep()


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are read: line by line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # YAML 1.1 takes the first three for ends of lines; only double quotes escape them.
    style = '"' if re.search("[\x85\u2028\u2029\ufeff]", text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)
for _kind, (_pattern, _first) in _PATTERNS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)
    # Beside those of YAML 1.1: what either reads as something else than text is written in quotes.
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_pattern})\Z"), _first)


def write(data: Any, syntax: Syntax) -> str:
    """Return plain data as text that reads and diffs well; keys keep their order."""
    if syntax == "json":
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
