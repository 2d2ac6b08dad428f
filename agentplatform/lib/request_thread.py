"""Answers that take long under ASGI: let go of what Django keeps for each request until its end."""

from __future__ import annotations

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections


async def let_go_of_thread() -> None:
    """Close the database connections of the thread that belongs to this request, and end that thread.

    Django gives each request a thread for what is not async, such as middleware and authentication, and keeps it, with its connection,
    until the answer is complete. An answer that takes an hour needs neither. Should the request need a thread again, it gets a new one.
    Does nothing where requests have no thread of their own.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or context not in SyncToAsync.context_to_thread_executor:
        return
    await sync_to_async(connections.close_all)()
    executor = SyncToAsync.context_to_thread_executor.pop(context)
    executor.shutdown(wait=False)
