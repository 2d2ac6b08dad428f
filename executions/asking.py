"""Make what a block waits for ready to be stored: whoever is to answer exists, and what is shown is not too large."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Model, Q, QuerySet
from pydantic_core import to_json

from blocks.sdk import BlockError
from blocks.sdk.waiting import WaitFor

M = TypeVar("M", bound=Model)
T = TypeVar("T")

#: Few, as each opens a connection of its own.
_asking = ThreadPoolExecutor(max_workers=2, thread_name_prefix="asking")
#: For files: the writers of one owner wait for each other, and nobody else's question must wait behind them.
FILING = ThreadPoolExecutor(max_workers=2, thread_name_prefix="filing")
#: How long the database may be away, look by look.
PAUSES_S = (0.1, 0.5, 2.0, 8.0)


async def prepared(wait: WaitFor) -> WaitFor:
    """Return a wait with the ids of those who may answer.

    Raises:
        BlockError: one of them does not exist (`APPROVER_UNKNOWN`), or what is shown is too large (`OUTPUT_TOO_LARGE`).
    """
    _refuse_too_large(wait)
    if not (wait.allowed_users or wait.allowed_groups):
        return wait
    users, groups = await looked_up(lambda: (_users(wait.allowed_users), _groups(wait.allowed_groups)))
    return replace(wait, allowed_users=users, allowed_groups=groups)


def _refuse_too_large(wait: WaitFor) -> None:
    size, limit = len(to_json([wait.data, wait.form])), settings.AGENTPLATFORM_MAX_OUTPUT_BYTES
    if size > limit:
        raise BlockError(
            f"What is shown has {size:,} bytes; {limit:,} are allowed.",
            code="OUTPUT_TOO_LARGE",
            hint="Show less, or raise AGENTPLATFORM_MAX_OUTPUT_BYTES.",
        )


async def looked_up(look: Callable[[], T], *, threads: ThreadPoolExecutor = _asking) -> T:
    """Look into the database on a thread of its own: nothing may hold the event loop up."""
    loop = asyncio.get_running_loop()
    return await patiently(lambda: loop.run_in_executor(threads, _looked, look))


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask, and ask again after growing pauses while the database is away.

    Raises:
        django.db.OperationalError: it stayed away for too long.
    """
    for pause_s in PAUSES_S:
        try:
            return await ask()
        except (OperationalError, InterfaceError):
            await asyncio.sleep(pause_s)
    return await ask()


def _looked(look: Callable[[], Any]) -> Any:
    try:
        return look()
    finally:
        # People are asked now and then: a connection is not kept for that.
        connection.close()


def _users(wanted: Sequence[int | str]) -> list[int]:
    return _ids(wanted, User.objects.filter(is_active=True), "username", "user")


def _groups(wanted: Sequence[int | str]) -> list[int]:
    return _ids(wanted, Group.objects.all(), "name", "group")


def _ids(wanted: Sequence[int | str], rows: QuerySet[M], name: str, what: str) -> list[int]:
    named = {one for one in wanted if isinstance(one, str)}
    numbered = {one for one in wanted if not isinstance(one, str)}
    found = rows.filter(Q(**{f"{name}__in": named}) | Q(pk__in=numbered)).values_list("pk", name)
    ids = {key: pk for pk, its_name in found for key in (pk, its_name)}
    if missing := [one for one in wanted if one not in ids]:
        raise BlockError(
            f"There is no {what} {missing[0]!r} who could answer.",
            code="APPROVER_UNKNOWN",
            hint="Name users who may log in, and groups, as the console lists them.",
        )
    return sorted({ids[one] for one in wanted})
