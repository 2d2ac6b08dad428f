"""What a firing used, as its block reported it."""

from __future__ import annotations

from dataclasses import dataclass, fields


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
    model: str = ""

    def add(self, **amounts: int | float | str) -> None:
        """Add each amount to what was reported before; `model` replaces.

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

    def as_dict(self) -> dict[str, int | float | str]:
        """Return the amounts that are not zero, for storing."""
        return {name: amount for name in _AMOUNTS if (amount := getattr(self, name))}


#: `dataclasses.asdict` would copy each of them deeply, for every firing.
_AMOUNTS = tuple(field.name for field in fields(Usage))
