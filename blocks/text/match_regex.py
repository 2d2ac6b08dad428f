"""Searching a text with a regular expression, in time that grows with the text and no faster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from time import monotonic
from typing import Any

import re2
from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, Example, Placement

MAX_MATCHES = 10_000
#: One search is linear in the text; many searches of one text need not be.
MAX_SECONDS = 0.25


class MatchRegexInput(BlockSchema):
    text: str = Field(max_length=1_000_000, description="The text to search.")
    pattern: str = Field(
        min_length=1, max_length=2_000, description="A regular expression (RE2: no look-around, no back-references)."
    )
    ignore_case: bool = Field(default=False, description="Treat capitals and small letters alike.")


class MatchRegexOutput(BlockSchema):
    is_found: bool = Field(description="Whether there is a match.")
    matches: list[str] = Field(description="The text of every match.")
    first: str = Field(description="The text of the first match; nothing if there is none.")
    groups: list[str | None] = Field(description="What the groups of the first match hold; nothing if there is none.")
    named: dict[str, str | None] = Field(description="The same for the groups that have names.")


class MatchRegexBlock(Block):
    """Find what a pattern describes."""

    id = "match-regex-block"
    name = "Match pattern"
    description = "Finds the parts of a text that fit a regular expression."
    placement = Placement.INLINE
    input_schema, output_schema = MatchRegexInput, MatchRegexOutput
    examples = (
        Example(
            given={"text": "a=1, B=2", "pattern": r"(?P<name>[a-z])=(\d)", "ignore_case": True},
            gives=[
                ("is_found", True),
                ("matches", ["a=1", "B=2"]),
                ("first", "a=1"),
                ("groups", ["a", "1"]),
                ("named", {"name": "a"}),
            ],
        ),
        Example(given={"text": "abc", "pattern": r"\d"}, gives=[("is_found", False), ("matches", [])]),
    )

    async def execute(self, input_data: MatchRegexInput) -> AsyncIterator[tuple[str, Any]]:
        pattern = compile_pattern(input_data.pattern, input_data.ignore_case)
        first, texts = None, []
        until = monotonic() + MAX_SECONDS
        for match in pattern.finditer(input_data.text):
            first = first or match
            texts.append(match.group())
            if len(texts) > MAX_MATCHES:
                raise BlockError(f"There are more than {MAX_MATCHES} matches.", code="REGEX_ERROR")
            if monotonic() > until:
                raise BlockError(f"The search took longer than {MAX_SECONDS} s.", code="REGEX_ERROR")
        yield "is_found", bool(texts)
        yield "matches", texts
        if first is not None:
            yield "first", texts[0]
            yield "groups", list(first.groups())
            yield "named", dict(first.groupdict())


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, ignore_case: bool) -> Any:
    """Return the compiled pattern.

    Raises:
        BlockError: it is not a regular expression that RE2 knows, or too large (`REGEX_ERROR`).
    """
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise BlockError(
            f"The pattern can not be used: {told}.",
            code="REGEX_ERROR",
            hint="Patterns are RE2: without look-around and back-references.",
            path="pattern",
        ) from None
