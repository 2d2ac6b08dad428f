"""What can be wrong with a block itself, or with what goes into and comes out of it."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class UnknownBlock(AppError):
    """No block has this id."""

    code = "UNKNOWN_BLOCK"
    status = 404
    hint = "Check the spelling, or install the package that brings the block."


class BlockDisabled(AppError):
    """This block is disabled here."""

    code = "BLOCK_DISABLED"
    status = 403
    hint = "Use another block, or ask the operator to enable this one."


class BlockInvalid(AppError):
    """A block does not keep the contract of its base class."""

    code = "BLOCK_INVALID"
    status = 500
    hint = "See docs/blocks.md for what a block must have."


class InputInvalid(AppError):
    """What reached the block does not fit its inputs."""

    code = "INPUT_INVALID"
    hint = "Check the constants and the links on the pin named."


class OutputInvalid(AppError):
    """The block yielded something that does not fit its outputs."""

    code = "OUTPUT_INVALID"
    hint = "This is a fault in the block, or in what it was told by someone else."
