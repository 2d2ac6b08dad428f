"""What went wrong with a model, in our words: one code for each thing that can be done about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentplatform.lib.http_errors import CredentialHostForbidden, HttpNotConnected, UrlForbidden
from blocks.http._client import refusal
from blocks.llm._clients import PATIENCE, Connection
from blocks.sdk import BlockError, Retry

RETRY = Retry(
    delay_s=2.0,
    factor=3.0,
    on=("PROVIDER_ERROR", "PROVIDER_TIMEOUT", "PROVIDER_UNREACHABLE", "RATE_LIMITED", "TIMEOUT"),
)
#: What the SDK stumbles with over an answer that is not what it expects.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
#: Of what a provider says.
MAX_TOLD = 300


@contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """Raise what the SDK raises as an error of the platform, without the key.

    Raises:
        BlockError: the model could not be asked, or refused; the code says how.
    """
    import openai

    try:
        yield
    except (TimeoutError, openai.APITimeoutError):
        raise too_slow() from None
    except openai.APIStatusError as error:
        raise _refused(error, _told(error, connection)) from None
    except openai.APIConnectionError as error:
        raise _not_connected(error, connection) from None
    except openai.APIResponseValidationError:
        raise unreadable() from None
    except openai.APIError as error:
        raise _told_in_stream(error, _told(error, connection)) from None
    except (openai.OpenAIError, *UNREADABLE):
        raise unreadable() from None


def did_nothing(error: BaseException) -> bool:
    """Return whether an error of a call says that the provider has refused it, or was never reached: that is free."""
    if isinstance(error, UrlForbidden | CredentialHostForbidden | HttpNotConnected):
        return True
    if "openai" not in sys.modules:
        return False
    import httpx2
    import openai

    free = (openai.APIStatusError, httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    # The plain class is what a stream tells instead of a reply.
    return type(error) is openai.APIError or isinstance(error, free) or isinstance(error.__cause__, free)


def too_slow() -> BlockError:
    """Return the error for a model that takes too long."""
    return BlockError(
        f"The model did not reply within {PATIENCE.total_s:g} s, or stopped in the middle for {PATIENCE.piece_s:g} s.",
        code="PROVIDER_TIMEOUT",
        hint="Try again later, ask for less, or use a faster model.",
    )


def unreadable() -> BlockError:
    """Return the error for an answer that holds no reply."""
    return BlockError(
        "The model's provider answered something that is not a reply.",
        code="PROVIDER_ERROR",
        hint="Check that the base address is that of an OpenAI-compatible API; it usually ends in /v1.",
    )


def broken_off() -> BlockError:
    """Return the error for a reply of which the end is missing."""
    return BlockError("The reply broke off.", code="PROVIDER_ERROR", hint="Try again; what came of it is charged.")


def shown(told: str, api_key: str) -> str:
    """Return what a provider said, short and without the key."""
    # Before it is cut: half a key is no longer found.
    told = told.replace(api_key, "***") if api_key else told
    return told[:MAX_TOLD].rstrip(".")


def declined(reason: str) -> BlockError:
    """Return the error for a model that does not want to reply."""
    return BlockError(
        f"The model declined{f': {reason[:MAX_TOLD]}' if reason else ''}.",
        code="MODEL_REFUSED",
        hint="Ask in other words, or ask another model.",
    )


def _refused(error: Any, told: str) -> BlockError:
    failure = refusal("The model's provider", error.status_code, told, error.response.headers)
    if error.status_code == 400 and error.code in ("model_not_found", "invalid_model"):
        failure.code = "NOT_FOUND"
    return failure


def _not_connected(error: BaseException, connection: Connection) -> BlockError:
    import httpx2

    if not isinstance(error.__cause__, httpx2.ConnectError):
        return broken_off()
    return BlockError(
        f"The model at {connection.base_url} can not be reached.",
        code="PROVIDER_UNREACHABLE",
        hint="Check the base address.",
    )


def _told_in_stream(error: Any, told: str) -> BlockError:
    is_limit = "rate_limit" in f"{error.code} {error.type}"
    return BlockError(
        f"The model's provider ended the reply{f': {told}' if told else ''}.",
        code="RATE_LIMITED" if is_limit else "PROVIDER_ERROR",
        hint="Try again later.",
    )


def _told(error: Any, connection: Connection) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return shown(str(body.get("message") or ""), connection.api_key)
