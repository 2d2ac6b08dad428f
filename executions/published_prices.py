"""Prices that providers have published, as a beginning: the console has those that count, and an operator may set others.

Each is written once, when the database is migrated; one that is there already stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.apps import apps as installed

from agentplatform.lib.money import microcredits


@dataclass(frozen=True, slots=True)
class PublishedList:
    """What a provider asked for on a day: US dollars for a million tokens."""

    provider: str
    day: datetime
    source: str
    #: Model: given, given but cached (None: like the others), made.
    prices: dict[str, tuple[str, str | None, str]]


OPENAI = PublishedList(
    provider="openai",
    day=datetime(2025, 8, 7, tzinfo=UTC),
    source="OpenAI's price list (standard tier)",
    prices={
        "gpt-5": ("1.25", "0.125", "10"),
        "gpt-5-mini": ("0.25", "0.025", "2"),
        "gpt-5-nano": ("0.05", "0.005", "0.40"),
        "gpt-4.1": ("2", "0.50", "8"),
        "gpt-4.1-mini": ("0.40", "0.10", "1.60"),
        "gpt-4.1-nano": ("0.10", "0.025", "0.40"),
        "gpt-4o": ("2.50", "1.25", "10"),
        "gpt-4o-mini": ("0.15", "0.075", "0.60"),
        "o1": ("15", "7.50", "60"),
        "o3": ("2", "0.50", "8"),
        "o3-mini": ("1.10", "0.55", "4.40"),
        "o4-mini": ("1.10", "0.275", "4.40"),
        "gpt-4-turbo": ("10", None, "30"),
        "gpt-4": ("30", None, "60"),
        "gpt-3.5-turbo": ("0.50", None, "1.50"),
        "text-embedding-3-small": ("0.02", None, "0"),
        "text-embedding-3-large": ("0.13", None, "0"),
        "text-embedding-ada-002": ("0.10", None, "0"),
    },
)
PUBLISHED = (OPENAI,)


def write_published(apps: Any = installed, **kwargs: Any) -> None:
    """Write the published prices that are not there yet. Called whenever the database was migrated."""
    try:
        model = apps.get_model("executions", "TokenPrice")
    except LookupError:
        # Migrated back to a state before there were prices.
        return
    model._default_manager.bulk_create(
        [
            model(
                provider=published.provider,
                model=name,
                input_microcredits=microcredits(Decimal(given)),
                cached_microcredits=None if cached is None else microcredits(Decimal(cached)),
                output_microcredits=microcredits(Decimal(made)),
                valid_from=published.day,
                note=f"{published.source}, as of {published.day:%Y-%m-%d}",
            )
            for published in PUBLISHED
            for name, (given, cached, made) in published.prices.items()
        ],
        ignore_conflicts=True,
    )
