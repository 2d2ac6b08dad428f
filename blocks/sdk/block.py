"""The base class of every block, and what the platform promises to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from blocks.sdk.errors import BlockError
from blocks.sdk.kinds import BlockType, Effects, Placement

if TYPE_CHECKING:
    from pydantic import BaseModel

    from blocks.sdk.context import BlockContext, Credentials
    from blocks.sdk.cost import BlockCostConfig
    from blocks.sdk.example import Example
    from blocks.sdk.retry import Retry


class Block:
    """One kind of work. A node of a graph is a block with some of its pins filled in.

    A new instance is made for every firing, so a block may keep what it likes on `self`.
    """

    #: Written once and never changed: stored graphs refer to it.
    id: ClassVar[str]
    name: ClassVar[str]
    description: ClassVar[str]
    block_type: ClassVar[BlockType] = BlockType.STANDARD
    input_schema: ClassVar[type[BaseModel]]
    output_schema: ClassVar[type[BaseModel]]
    placement: ClassVar[Placement] = Placement.IO
    effects: ClassVar[Effects] = Effects.NONE
    disabled: ClassVar[bool] = False
    #: Seconds after which a firing is stopped with `TIMEOUT`; None takes the platform's limit.
    timeout_s: ClassVar[float | None] = None
    #: What is tried again by itself, unless the node says otherwise; None lets every failure stand.
    retry: ClassVar[Retry | None] = None
    credentials_required: ClassVar[Sequence[str]] = ()
    cost_config: ClassVar[BlockCostConfig | None] = None
    examples: ClassVar[Sequence[Example]] = ()
    #: Output pins that are streams: their items open a level of the item path, also when there is one item or none.
    streams: ClassVar[frozenset[str]] = frozenset()
    #: The input pin that takes one level off the item path and receives the list of its items.
    gathers: ClassVar[str | None] = None

    def __init__(self, context: BlockContext | None = None) -> None:
        self._context = context

    @property
    def context(self) -> BlockContext:
        """Return the platform's side of this firing.

        Raises:
            BlockError: the block was made without one.
        """
        if self._context is None:
            raise BlockError("This block runs outside the platform and has no context.", code="NO_CONTEXT")
        return self._context

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of this firing."""
        return self.context.idempotency_key

    def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Do the work: yield `(output pin, value)` as often as needed.

        Raises:
            BlockError: the work can not be done; any other exception is stored as `BLOCK_CRASHED`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define execute().")

    async def get_credentials(self, provider: str) -> Credentials:
        """Return the credential this node uses for `provider`."""
        return await self.context.get_credentials(provider)

    def report_usage(self, **amounts: int | float | str) -> None:
        """Report what was used, e.g. `input_tokens=12, output_tokens=3, model="gpt-4o"`; reports add up."""
        self.context.usage.add(**amounts)
