"""What a firing used, as its block reported it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple


class Tokens(NamedTuple):
    """Tokens that one model was given and has made."""

    input: float = 0
    output: float = 0
    #: Of the input, what the provider had kept.
    cached: float = 0


@dataclass(slots=True)
class Usage:
    """Amounts used by one firing; reports add up."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    bytes: int = 0
    items: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    #: How many reports hold tokens that nobody has counted, but were estimated.
    estimates: int = 0
    model: str = ""
    #: What was reported of each model, as a firing may ask several: each has its price.
    by_model: dict[str, Tokens] = field(default_factory=dict, compare=False)

    def add(self, **amounts: int | float | str) -> None:
        """Add each amount to what was reported before; `model` replaces, and says whose tokens are reported with it.

        Raises:
            ValueError: an amount is negative or its name is unknown.
        """
        for name, amount in amounts.items():
            if name not in _AMOUNTS:
                raise ValueError(f"Unknown usage {name!r}. Known: {', '.join(_AMOUNTS)}.")
            if isinstance(amount, str):
                self.model = amount
            elif amount < 0:
                raise ValueError(f"Usage {name!r} can not be negative: {amount}.")
            else:
                setattr(self, name, getattr(self, name) + amount)
        reported = Tokens(*(_number(amounts.get(name)) for name in _TOKENS))
        if self.model and any(reported):
            before = self.by_model.get(self.model, Tokens())
            self.by_model[self.model] = Tokens(*map(sum, zip(before, reported, strict=True)))

    def tokens(self) -> dict[str, Tokens]:
        """Return the tokens of each model; those that were reported of none are of the last one."""
        whole = Tokens(self.input_tokens, self.output_tokens, self.cached_tokens)
        named = [sum(amounts) for amounts in zip(*self.by_model.values(), strict=True)] or [0, 0, 0]
        rest = Tokens(*(max(0, have - told) for have, told in zip(whole, named, strict=True)))
        if not any(rest):
            return dict(self.by_model)
        before = self.by_model.get(self.model, Tokens())
        return self.by_model | {self.model: Tokens(*map(sum, zip(before, rest, strict=True)))}

    def as_dict(self) -> dict[str, int | float | str]:
        """Return the amounts that are not zero, for storing."""
        return {name: amount for name in _AMOUNTS if (amount := getattr(self, name))}


#: `dataclasses.asdict` would copy each of them deeply, for every firing.
_AMOUNTS = tuple(one.name for one in fields(Usage) if one.name != "by_model")
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens")


def _number(amount: float | str | None) -> float:
    return amount if isinstance(amount, int | float) else 0
