"""Talk to an agentplatform: what to ask is a value (`executions.start(...)`), `Client` or `AsyncClient` asks it.

Named apart from `agentplatform`, the server's own package, so that both can be installed side by side.
"""

from agentplatform_client import (
    approvals,
    blocks,
    credentials,
    executions,
    files,
    graphs,
    money,
    schedules,
    subscriptions,
    webhooks,
)
from agentplatform_client.aio import AsyncClient
from agentplatform_client.calls import Call, Read
from agentplatform_client.client import Client
from agentplatform_client.errors import (
    AgentplatformError,
    ApiError,
    EditedMeanwhile,
    NotFound,
    Refused,
    TimedOut,
    Unreachable,
    UsageError,
)

__all__ = [
    "AgentplatformError",
    "ApiError",
    "AsyncClient",
    "Call",
    "Client",
    "EditedMeanwhile",
    "NotFound",
    "Read",
    "Refused",
    "TimedOut",
    "Unreachable",
    "UsageError",
    "approvals",
    "blocks",
    "credentials",
    "executions",
    "files",
    "graphs",
    "money",
    "schedules",
    "subscriptions",
    "webhooks",
]
