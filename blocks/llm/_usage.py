"""What a call to a model has used: what its provider says, or else an estimate; also of a call that did not end well."""

from __future__ import annotations

from math import ceil
from types import TracebackType
from typing import Any, Self

from blocks.llm._errors import did_nothing
from blocks.sdk import Block, BlockCostConfig

BYTES_PER_TOKEN = 4
COST = BlockCostConfig("token", 0.00002, "openai")


class Meter:
    """Reports what one call uses as the call ends, however it ends: once asked, a provider charges for what it does.

    Put it around the call itself, below whatever translates the SDK's errors.
    """

    def __init__(self, block: Block, *, model: str, given: str, makes_text: bool = True) -> None:
        self._block = block
        self._given = given
        self._makes_text = makes_text
        self._usage: Any = None
        self.model = model
        #: What has come of the reply so far.
        self.made: list[str] = []
        self.input_tokens = 0
        self.output_tokens = 0
        self.is_estimated = False
        #: The provider has refused it.
        self.is_free = False

    def heard(self, usage: Any) -> None:
        """Take what the provider says of it; what it does not say is estimated."""
        self._usage = usage if usage is not None else self._usage

    @property
    def counted(self) -> dict[str, int | str | bool]:
        """Return what was used, as a block yields it."""
        counted: dict[str, int | str | bool] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "model": self.model,
        }
        return counted | ({"is_estimated": True} if self.is_estimated else {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_free:
            return
        if error is not None and not self.made and self._usage is None and did_nothing(error):
            return
        given = _whole(getattr(self._usage, "prompt_tokens", None))
        made = _whole(getattr(self._usage, "completion_tokens", None)) if self._makes_text else 0
        self.is_estimated = given is None or made is None
        self.input_tokens = estimate(self._given) if given is None else given
        self.output_tokens = estimate("".join(self.made)) if made is None else made
        cached = _whole(getattr(getattr(self._usage, "prompt_tokens_details", None), "cached_tokens", None)) or 0
        self._block.report_usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=min(cached, self.input_tokens),
            estimates=int(self.is_estimated),
            model=self.model,
        )


def estimate(text: str) -> int:
    """Return how many tokens a text has, about."""
    return ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)


def _whole(count: Any) -> int | None:
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
