"""Money is counted in whole micro-credits: one credit is one US dollar, one million micro-credits."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

MICROCREDITS_PER_CREDIT = 1_000_000


def microcredits(credits: Decimal | int | str | float) -> int:
    """Return an amount of credits in micro-credits, rounded up, so that a fraction is never given away."""
    return int((Decimal(str(credits)) * MICROCREDITS_PER_CREDIT).to_integral_value(rounding=ROUND_CEILING))


def show(amount_microcredits: int) -> str:
    """Return an amount as a person reads it: `$0.000123`, at least two decimals, no trailing zeros beyond them."""
    sign = "-" if amount_microcredits < 0 else ""
    whole, rest = divmod(abs(amount_microcredits), MICROCREDITS_PER_CREDIT)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole}.{decimals}"
