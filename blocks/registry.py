"""Every block by its id: the one place where a block is looked up, and where it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from inspect import isasyncgenfunction, isclass

from pydantic import BaseModel

from blocks import BLOCKS
from blocks.errors import BlockDisabled, BlockInvalid, InputInvalid, OutputInvalid, UnknownBlock
from blocks.pins import ERROR_PIN, PinFacts, input_pins, output_pins, validate_input, validate_output
from blocks.sdk import Block, Effects, Retry

__all__ = [
    "ERROR_PIN",
    "BlockDisabled",
    "BlockInvalid",
    "InputInvalid",
    "OutputInvalid",
    "PinFacts",
    "UnknownBlock",
    "all_blocks",
    "get",
    "input_pins",
    "load_extra",
    "output_pins",
    "register",
    "runnable",
    "validate_input",
    "validate_output",
]

ENTRY_POINTS = "agentplatform.blocks"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_blocks: dict[str, type[Block]] = {}


def get(block_id: str) -> type[Block]:
    """Return the block with this id, disabled or not.

    Raises:
        UnknownBlock: there is none.
    """
    block = _blocks.get(block_id)
    if block is None:
        near = get_close_matches(str(block_id)[:64], _blocks, n=1)
        raise UnknownBlock(f"No block has the id {block_id!r}.", hint=f"Did you mean {near[0]!r}?" if near else None)
    return block


def runnable(block_id: str) -> type[Block]:
    """Return the block with this id, to be run: every way to run one comes through here.

    Raises:
        UnknownBlock: there is none.
        BlockDisabled: it is there, but must not run.
    """
    block = get(block_id)
    if block.disabled:
        raise BlockDisabled(f"The block {block.name!r} ({block_id}) is disabled.")
    return block


def all_blocks() -> list[type[Block]]:
    """Return every block, in palette order: the platform's own, then the installed ones."""
    return list(_blocks.values())


def register(*blocks: type[Block]) -> None:
    """Make blocks known. To give the same class again changes nothing.

    Raises:
        BlockInvalid: one does not keep the contract, or its id belongs to another class.
    """
    for block in blocks:
        _check(block)
        if _blocks.setdefault(block.id, block) is not block:
            raise BlockInvalid(f"{_path(block)} has the id {block.id!r}, which belongs to {_path(_blocks[block.id])}.")


def load_extra(references: Iterable[str]) -> None:
    """Register lists of blocks that live elsewhere, each named as `module:LIST`.

    Raises:
        BlockInvalid: there is no such list, or one of its blocks is not right.
    """
    for reference in references:
        module, _, attribute = reference.partition(":")
        try:
            register(*getattr(import_module(module), attribute))
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise BlockInvalid(f"{reference!r} can not be loaded: {error}.", hint="Name it `module:LIST`.") from error


def _check(block: type[Block]) -> None:
    if not (isclass(block) and issubclass(block, Block)):
        raise BlockInvalid(f"{block!r} is not a subclass of Block.")
    for attribute in ("id", "name", "description"):
        if not isinstance(getattr(block, attribute, None), str) or not getattr(block, attribute).strip():
            raise BlockInvalid(f"{_path(block)} has no {attribute}.")
    if not _ID.fullmatch(block.id):
        raise BlockInvalid(
            f"{_path(block)}: the id {block.id!r} is not made of 1 to 64 letters, digits, dots, dashes, underscores."
        )
    for attribute in ("input_schema", "output_schema"):
        if not _is_model(getattr(block, attribute, None)):
            raise BlockInvalid(f"{_path(block)}: {attribute} is not a pydantic model.")
    if unknown := block.streams - set(block.output_schema.model_fields):
        raise BlockInvalid(f"{_path(block)}: streams names {', '.join(sorted(unknown))}, no output pin of it.")
    if block.gathers is not None and block.gathers not in block.input_schema.model_fields:
        raise BlockInvalid(f"{_path(block)}: gathers names {block.gathers!r}, no input pin of it.")
    if block.retry is not None and not isinstance(block.retry, Retry):
        raise BlockInvalid(f"{_path(block)}: retry is not a Retry.")
    if block.retry is not None and not block.retry.on and block.effects is Effects.AT_MOST_ONCE:
        raise BlockInvalid(f"{_path(block)}: what must not happen twice is retried only on the codes that `on` names.")
    if not isasyncgenfunction(block.execute):
        raise BlockInvalid(f"{_path(block)}: execute is not an async generator: write `async def` and yield.")


def _is_model(schema: object) -> bool:
    return isclass(schema) and issubclass(schema, BaseModel)


def _path(block: type[Block]) -> str:
    return f"{block.__module__}.{block.__qualname__}" if isclass(block) else repr(block)


register(*BLOCKS)
load_extra(entry_point.value for entry_point in entry_points(group=ENTRY_POINTS))
