"""What a key may be allowed: one scope for each thing and verb, declared by the views as data."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What an API key opens."""

    GRAPHS_READ = "graphs:read"
    GRAPHS_WRITE = "graphs:write"
    EXECUTIONS_READ = "executions:read"
    EXECUTIONS_START = "executions:start"
    #: Cancel, pause and resume.
    EXECUTIONS_CONTROL = "executions:control"
    APPROVALS_READ = "approvals:read"
    APPROVALS_ANSWER = "approvals:answer"
    EVENTS_SEND = "events:send"
    CREDENTIALS_READ = "credentials:read"
    CREDENTIALS_WRITE = "credentials:write"
    MONEY_READ = "money:read"
    MONEY_WRITE = "money:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    SUBSCRIPTIONS_READ = "subscriptions:read"
    #: Whoever has it is sent what executions give.
    SUBSCRIPTIONS_WRITE = "subscriptions:write"
    SCHEDULES_READ = "schedules:read"
    SCHEDULES_WRITE = "schedules:write"
    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"


#: What a key for one graph may be allowed: all else is not of a graph.
OF_ONE_GRAPH = frozenset(
    {
        Scope.GRAPHS_READ,
        Scope.EXECUTIONS_READ,
        Scope.EXECUTIONS_START,
        Scope.EXECUTIONS_CONTROL,
    }
)
#: Of a view that every key may ask.
ANY_KEY = "any"
READING = frozenset({"GET", "HEAD", "OPTIONS"})


def scope_of(view: object, method: str, action: str | None) -> str | None:
    """Return the scope that a view declares for an action; None if it declares none, so that no key may ask it.

    A view has `scopes`: by the name of an action, or `read` and `write` for all that are not named.
    """
    declared: dict[str, str] = getattr(view, "scopes", {})
    if action and action in declared:
        return declared[action]
    return declared.get("read" if method in READING else "write")
