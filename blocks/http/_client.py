"""Asking a provider with the node's credential, and saying in our words what it refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentplatform.lib import http
from agentplatform.lib.http import Answer
from agentplatform.lib.retry_after import retry_after_of
from blocks.sdk import Block, BlockError, Retry
from integrations import providers

#: For blocks that only read: what is over in a moment, mostly.
RETRY = Retry(on=("HTTP_BAD_ANSWER", "HTTP_TIMEOUT", "HTTP_UNREACHABLE", "PROVIDER_ERROR", "RATE_LIMITED", "TIMEOUT"))


async def ask_provider(
    block: Block,
    provider: str,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
) -> Answer:
    """Return what `provider` answers at `path` below its base address, asked with the node's credential.

    Raises:
        BlockError: there is no address, or it answered that it will or can not.
        AppError: it could not be asked; the credential may not be sent there.
    """
    credentials = await block.get_credentials(provider)
    known = providers.get(provider)
    base_url = credentials.base_url or known.base_url
    if not base_url:
        raise BlockError(f"The credential for {provider} has no address.", code="CREDENTIAL_INCOMPLETE")
    async with block.in_turn(credentials):
        answer = await http.request(
            method,
            base_url.rstrip("/") + path,
            headers={**(headers or {}), **known.headers_for(credentials)},
            params=params,
            body=body,
            credential_hosts=credentials.allowed_hosts,
        )
        if not answer.is_success:
            raise refusal(provider, answer.status, headers=answer.headers)
    return answer


def refusal(provider: str, status: int, told: str = "", headers: Mapping[str, str] | None = None) -> BlockError:
    """Return the error that a provider's HTTP status means; `told` is what it said of it."""
    code, hint = _meaning(status)
    return BlockError(
        f"{provider} answered {status}{f': {told}' if told else ''}.",
        code=code,
        hint=hint,
        retry_after_s=retry_after_of(headers or {}),
    )


def _meaning(status: int) -> tuple[str, str]:
    match status:
        case 401 | 403:
            return "CREDENTIAL_REFUSED", "Check the key, and what it is allowed to do."
        case 404:
            return "NOT_FOUND", "Check the name and the address; a key without the right to see it also gets this."
        case 429:
            return "RATE_LIMITED", "Wait, send less at a time, or raise the limit at the provider."
        case _ if status >= 500 or status in (408, 409):
            return "PROVIDER_ERROR", "The provider has trouble. Try again later."
        case _:
            return "PROVIDER_REFUSED", "The provider does not accept this request. Check the inputs of the node."
