"""The prices of tokens as this process knows them, and how an operator sets a new one.

A price takes force some time after it was set, and by then every process has read it. So all charge a call by the same price: the one in
force when the call began.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction

from agentplatform.lib.clock import now
from executions.engine.pricing import MAX_MICROCREDITS, PriceList
from executions.errors import PriceInvalid
from executions.models import TokenPrice

logger = logging.getLogger(__name__)

#: So long a process goes by the prices it has read.
FRESH_S = 30.0
#: So long before a price takes force it is set at the latest: longer than any process goes by what it has read.
NOTICE = timedelta(seconds=60)
#: How long the database may be away, look by look.
PAUSES_S = (0.1, 0.5, 2.0, 8.0)

#: One, as it opens a connection of its own.
_reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prices")


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    prices: PriceList


_read = _Read(float("-inf"), PriceList())


def known() -> PriceList:
    """Return the prices as they were last read, without looking: on the event loop nobody may wait for the database."""
    return _read.prices


def current() -> PriceList:
    """Return the prices, read anew where what is known is too old.

    Raises:
        django.db.OperationalError: the database is away.
    """
    global _read
    if not _is_fresh():
        began = time.monotonic()
        _read = _Read(began, PriceList(row.as_price() for row in TokenPrice.objects.all()))
    return _read.prices


async def refresh() -> None:
    """Read the prices anew where what is known is too old, on a thread of its own; what is known has to do while the database is away."""
    for pause_s in (*PAUSES_S, None):
        if _is_fresh():
            return
        try:
            await asyncio.get_running_loop().run_in_executor(_reading, _look)
        except (OperationalError, InterfaceError):
            if _read.at > float("-inf") or pause_s is None:
                logger.warning("The prices could not be read; those known are gone by.")
                return
            await asyncio.sleep(pause_s)


def forget() -> None:
    """Read the prices anew the next time they are asked for."""
    global _read
    _read = _Read(float("-inf"), _read.prices)


def set_price(
    *,
    provider: str,
    model: str,
    input_microcredits: int,
    output_microcredits: int,
    cached_microcredits: int | None = None,
    valid_from: datetime | None = None,
    note: str = "",
) -> TokenPrice:
    """Set what a model costs from a moment on: the next that every process will know of, unless a later one is named.

    Raises:
        PriceInvalid: it can not be counted, begins too early, or the model has another price from that very moment.
    """
    soonest = now() + NOTICE
    if valid_from is not None and valid_from < soonest:
        raise PriceInvalid(
            "A price can not begin before everybody knows it.",
            path="valid_from",
            hint=f"Name a moment {NOTICE.seconds} seconds from now or later, or none.",
        )
    price = TokenPrice(
        provider=provider.strip().lower(),
        model=model.strip().lower(),
        input_microcredits=input_microcredits,
        output_microcredits=output_microcredits,
        cached_microcredits=cached_microcredits,
        valid_from=valid_from or soonest,
        note=note,
    )
    _refuse_uncountable(price)
    try:
        with transaction.atomic():
            price.save(force_insert=True)
    except IntegrityError:
        raise PriceInvalid(f"{price.model} has another price from that moment.", path="valid_from") from None
    return price


def _refuse_uncountable(price: TokenPrice) -> None:
    if not price.provider or not price.model or "*" in price.model[:-1]:
        raise PriceInvalid("A price is one of a model, or of all that begin alike.", path="model")
    amounts = {
        "input_microcredits": price.input_microcredits,
        "output_microcredits": price.output_microcredits,
        "cached_microcredits": price.cached_microcredits or 0,
    }
    for name, amount in amounts.items():
        if not 0 <= amount <= MAX_MICROCREDITS:
            raise PriceInvalid(f"A price is from 0 to {MAX_MICROCREDITS:,} micro-credits.", path=name)
    if (price.cached_microcredits or 0) > price.input_microcredits:
        raise PriceInvalid("What is cached costs no more than what is not.", path="cached_microcredits")


def _is_fresh() -> bool:
    return time.monotonic() - _read.at < FRESH_S


def _look() -> None:
    try:
        current()
    finally:
        # It looks twice a minute: a connection is not kept for that.
        connection.close()
