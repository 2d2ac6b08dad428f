"""What both clients share: how a call is sent, what an answer means, when it is worth asking again. No network here."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import httpx2

from agentplatform_client.calls import Call
from agentplatform_client.errors import ApiError, Unreachable, error_of
from agentplatform_client.settings import Settings

T = TypeVar("T")

#: A call is sent so often at most, where that is safe.
ATTEMPTS = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0
#: May be over in a moment.
PASSING = frozenset({429, 502, 503, 504})
TIMEOUT_S = 30.0
#: A stream says that it is still there more often than this.
SILENCE_S = 60.0


def headers_of(settings: Settings) -> dict[str, str]:
    """Return what every request carries."""
    return {
        "Authorization": f"Bearer {settings.api_key}",
        "Accept": "application/json",
        "User-Agent": f"agentplatform-client/{_version()}",
    }


def arguments_of(call: Call[Any]) -> dict[str, Any]:
    """Return a call as the HTTP library takes it."""
    arguments: dict[str, Any] = {"headers": dict(call.headers)}
    if call.params:
        # None at all would take away what the address itself says.
        arguments["params"] = dict(call.params)
    if call.is_text or call.is_bytes:
        arguments["headers"]["Accept"] = "*/*"
    if call.upload is not None:
        arguments |= {"data": dict(call.form), "files": {"file": call.upload}}
    if call.json is not None:
        arguments["json"] = call.json
    if "wait" in call.params:
        arguments["timeout"] = TIMEOUT_S + float(call.params["wait"])
    return arguments


def answer_of(call: Call[T], response: httpx2.Response) -> T:
    """Return what an answer says.

    Raises:
        ApiError: the platform said no.
        Unreachable: it is no answer of an agentplatform.
    """
    if response.status_code == httpx2.codes.NO_CONTENT:
        return cast(T, None)
    if response.is_success and call.is_bytes:
        return cast(T, response.content)
    if response.is_success:
        return cast(T, response.text if call.is_text else _json(response))
    raise failure_of(response)


def failure_of(response: httpx2.Response) -> Exception:
    """Return the error that an answer stands for, which was read."""
    if response.is_redirect:
        return Unreachable(
            f"{response.request.url} leads elsewhere ({response.headers.get('location', '?')}): correct the address."
        )
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "code" not in problem:
        text = response.text.strip()[:200]
        if response.status_code in (401, 403, 404) or response.status_code < 500:
            return Unreachable(
                f"{response.request.url} is no agentplatform: it answered {response.status_code} {text!r}."
            )
        problem = {"message": text or response.reason_phrase}
    return error_of(response.status_code, problem)


def pause_after(call: Call[Any], attempt: int, came: httpx2.Response | httpx2.TransportError) -> float | None:
    """Return how long to wait before a call is sent again, or None where it is not."""
    if attempt >= ATTEMPTS or call.is_used_up:
        return None
    pause_s = min(FIRST_PAUSE_S * 2.0**attempt, LONGEST_PAUSE_S) * (0.5 + random.random() / 2)  # noqa: S311 - spreads callers, hides nothing
    if isinstance(came, httpx2.TransportError):
        # Where no connection was made, nothing can have happened.
        return pause_s if call.is_repeatable or isinstance(came, httpx2.ConnectError | httpx2.ConnectTimeout) else None
    if came.status_code not in PASSING or not (call.is_repeatable or came.status_code == 429):
        return None
    return max(pause_s, _asked_for_s(came.headers))


def unreachable(settings: Settings, error: httpx2.HTTPError) -> Unreachable:
    """Return what is raised where no answer came."""
    return Unreachable(f"{settings.url} does not answer: {str(error) or type(error).__name__}")


def next_of(page: Mapping[str, Any]) -> str:
    """Return the address of the page after this one, without its host: that is what the server believes it is called."""
    following = page.get("next")
    if not following:
        return ""
    parts = urlsplit(str(following))
    return f"{parts.path}?{parts.query}"


def is_gone(error: Exception) -> bool:
    """Say whether a stream may be taken up again after this."""
    return isinstance(error, httpx2.TransportError | Unreachable) or (
        isinstance(error, ApiError) and error.status in PASSING
    )


def _json(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        raise Unreachable(f"{response.request.url} is no agentplatform: its answer is not JSON.") from None


def _asked_for_s(headers: httpx2.Headers) -> float:
    try:
        return min(max(float(headers.get("retry-after", 0)), 0.0), LONGEST_PAUSE_S)
    except ValueError:
        return 0.0


def _version() -> str:
    try:
        return version("agentplatform-client")
    except PackageNotFoundError:
        return "0"
