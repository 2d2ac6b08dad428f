"""The template language: Jinja's syntax without its powers.

Jinja only parses here. What the template asks for is looked up by this file, step by step and counted, in plain values: there are no
calls, no arithmetic and no attributes of objects, so there is nothing to escape through.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from time import monotonic
from typing import Any, Final

from jinja2 import Environment, TemplateSyntaxError, nodes

from blocks.sdk import BlockError

MAX_STEPS = 20_000
MAX_SECONDS = 0.25
MAX_OUTPUT = 1_000_000

_ENVIRONMENT: Final = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701 - it never renders


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Return `template` with its placeholders filled from `values`.

    Raises:
        BlockError: the template is wrong, asks for what is not there or not allowed, or grows too large (`TEMPLATE_ERROR`).
    """
    try:
        return _Filling(values).text_of(_parsed(template))
    except RecursionError:
        raise refused("It is nested too deeply.") from None


def refused(why: str) -> BlockError:
    """Return the error that says why a template can not be filled."""
    return BlockError(f"The template can not be filled. {why}", code="TEMPLATE_ERROR", path="template")


@lru_cache(maxsize=128)
def _parsed(template: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(template)
    except TemplateSyntaxError as error:
        raise refused(f"Line {error.lineno}: {error.message}") from None


class _Filling:
    """One template being filled: the names in sight, and how much has been done so far."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._names = dict(values)
        self._steps = 0
        self._size = 0
        self._until = monotonic() + MAX_SECONDS

    def text_of(self, template: nodes.Template) -> str:
        return "".join(self._texts(template.body))

    def _texts(self, body: Sequence[nodes.Node]) -> Iterator[str]:
        for node in body:
            self._count_step()
            match node:
                case nodes.Output():
                    for part in node.nodes:
                        text = part.data if isinstance(part, nodes.TemplateData) else as_text(self._value(part))
                        self._size += len(text)
                        if self._size > MAX_OUTPUT:
                            raise refused(f"The text grows longer than {MAX_OUTPUT} characters.")
                        yield text
                case nodes.If():
                    yield from self._texts(self._branch(node))
                case nodes.For(target=nodes.Name(), test=None, recursive=False):
                    yield from self._loop(node)
                case _:
                    raise _not_known(node)

    def _branch(self, node: nodes.If) -> Sequence[nodes.Node]:
        for way in (node, *node.elif_):
            if self._value(way.test):
                return way.body
        return node.else_

    def _loop(self, node: nodes.For) -> Iterator[str]:
        items = self._value(node.iter)
        if not isinstance(items, list | dict):
            raise refused(f"Line {node.lineno}: a loop needs a list or a dict, not a {type(items).__name__}.")
        if not items:
            yield from self._texts(node.else_)
        name = node.target.name  # type: ignore[attr-defined]
        outside = {one: self._names[one] for one in (name, "loop") if one in self._names}
        for index, item in enumerate(items):
            self._count_step()
            loop = {"index": index + 1, "index0": index, "first": index == 0, "last": index == len(items) - 1}
            self._names |= {name: item, "loop": loop}
            yield from self._texts(node.body)
        for one in (name, "loop"):
            self._names.pop(one, None)
        self._names |= outside

    def _value(self, node: nodes.Node) -> Any:
        self._count_step()
        match node:
            case nodes.Const():
                return node.value
            case nodes.Name():
                if node.name not in self._names:
                    raise refused(f"Line {node.lineno}: there is no value named {node.name!r}.")
                return self._names[node.name]
            case nodes.Getattr():
                return _part(self._value(node.node), node.attr, node.lineno)
            case nodes.Getitem(arg=nodes.Const() as place):
                return _part(self._value(node.node), place.value, node.lineno)
            case nodes.Filter(node=nodes.Node(), kwargs=[], dyn_args=None, dyn_kwargs=None) if node.name in _FILTERS:
                return self._filtered(node)
            case nodes.Compare():
                return self._compared(node)
            case nodes.Not():
                return not self._value(node.node)
            case nodes.And():
                return self._value(node.left) and self._value(node.right)
            case nodes.Or():
                return self._value(node.left) or self._value(node.right)
            case nodes.Test(name="defined" | "undefined", node=nodes.Name() as name):
                return (name.name in self._names) == (node.name == "defined")
        raise _not_known(node)

    def _filtered(self, node: nodes.Filter) -> Any:
        if node.name == "default" and isinstance(node.node, nodes.Name) and node.node.name not in self._names:
            value = None
        else:
            value = self._value(node.node)  # type: ignore[arg-type]
        try:
            return _FILTERS[node.name](value, *[self._value(argument) for argument in node.args])
        except (TypeError, ValueError, IndexError, AttributeError):
            raise refused(f"Line {node.lineno}: {node.name!r} can not be used here.") from None

    def _compared(self, node: nodes.Compare) -> bool:
        left = self._value(node.expr)
        for operand in node.ops:
            right = self._value(operand.expr)
            try:
                if not _COMPARISONS[operand.op](left, right):
                    return False
            except TypeError:
                raise refused(f"Line {node.lineno}: the two values can not be compared.") from None
            left = right
        return True

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise refused(f"It takes more than {MAX_STEPS} steps.")
        # A step takes as long as its values are large, so steps alone are no limit.
        if monotonic() > self._until:
            raise refused(f"It takes longer than {MAX_SECONDS:g} s.")


def as_text(value: Any) -> str:
    """Return a value as it reads in a text: lists and dicts as JSON, None as nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False)


def _part(value: Any, place: Any, line: int) -> Any:
    """Return an entry of a dict or a list: what `a.b` and `a["b"]` mean here, and never an attribute."""
    if isinstance(value, dict) and isinstance(place, str) and place in value:
        return value[place]
    if isinstance(value, list) and type(place) is int and -len(value) <= place < len(value):
        return value[place]
    raise refused(f"Line {line}: there is no entry {place!r}.")


def _join(items: list[Any], separator: str = "") -> str:
    texts = [as_text(item) for item in items]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_OUTPUT:
        raise refused(f"The text grows longer than {MAX_OUTPUT} characters.")
    return separator.join(texts)


def _truncate(text: str, length: int = 255) -> str:
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def _not_known(node: nodes.Node) -> BlockError:
    known = f"values, entries, comparisons, if, for, and the filters {', '.join(sorted(_FILTERS))}"
    return refused(f"Line {node.lineno}: {type(node).__name__} is not part of this language: {known}.")


_FILTERS: dict[str, Callable[..., Any]] = {
    "default": lambda value, other="": other if value is None else value,
    "first": lambda value: value[0],
    "join": _join,
    "json": lambda value: json.dumps(value, ensure_ascii=False),
    "last": lambda value: value[-1],
    "length": len,
    "lower": str.lower,
    "title": str.title,
    "trim": str.strip,
    "truncate": _truncate,
    "upper": str.upper,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda value, container: value in container,
    "notin": lambda value, container: value not in container,
}
