"""Asking a language model through the OpenAI SDK, with our checks below it and our errors above it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agentplatform.lib import http
from blocks.http._client import refusal
from blocks.sdk import Block, BlockCostConfig, BlockError, Retry
from integrations.providers import DEFAULT_BASE_URLS, ProviderName

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

TIMEOUT_S = 120.0
CHARACTERS_PER_TOKEN = 4
MAX_CLIENTS = 64
COST = BlockCostConfig("token", 0.00002, "openai")
RETRY = Retry(
    delay_s=2.0,
    factor=3.0,
    on=("PROVIDER_ERROR", "PROVIDER_TIMEOUT", "PROVIDER_UNREACHABLE", "RATE_LIMITED", "TIMEOUT"),
)

_ClientKey = tuple[str, str]
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, OrderedDict[_ClientKey, AsyncOpenAI]] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask a model; an empty `model` is the platform's default."""

    prompt: str
    system: str = ""
    model: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    frequency_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What it replied, and whether it was cut off at `max_tokens`."""

    text: str
    input_tokens: int
    output_tokens: int
    model: str
    is_cut: bool


def preload() -> None:
    """Import the SDK, which takes a second or more: not on the event loop, where everything else would wait for it."""
    import openai  # noqa: F401

    http.preload()


def read_prompt(name: str, beside: str) -> str:
    """Return the text of a prompt from the folder `prompts` beside the file that asks."""
    return (Path(beside).parent / "prompts" / f"{name}.txt").read_text(encoding="utf-8").strip()


async def ask_model(block: Block, ask: Ask) -> Reply:
    """Return the model's reply, and report what it used.

    Raises:
        BlockError: it could not be asked, or refused; the code says how.
    """
    if "openai" not in sys.modules:
        await asyncio.to_thread(preload)
    import openai

    credentials = await block.get_credentials(ProviderName.OPENAI)
    base_url = credentials.base_url or DEFAULT_BASE_URLS[ProviderName.OPENAI]
    model = ask.model or block.context.setting("OPENAI_MODEL")
    if not model:
        raise BlockError("No model is named.", code="MODEL_MISSING", hint="Name one on the node, or set OPENAI_MODEL.")
    arguments = _arguments(ask, model, base_url)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            completion = await _client(base_url, credentials.api_key).chat.completions.create(
                **arguments, extra_headers={"Idempotency-Key": _call_key(block, arguments)}
            )
    except (TimeoutError, openai.APITimeoutError):
        raise BlockError(
            f"The model did not reply within {TIMEOUT_S:g} s.",
            code="PROVIDER_TIMEOUT",
            hint="Try again later, ask for less, or use a faster model.",
        ) from None
    except openai.APIStatusError as error:
        told = _told(error, credentials.api_key)
        raise refusal("The model's provider", error.status_code, told, error.response.headers) from None
    except openai.APIConnectionError:
        raise BlockError(
            f"The model at {base_url} can not be reached.", code="PROVIDER_UNREACHABLE", hint="Check the base address."
        ) from None
    except (openai.OpenAIError, ValueError):
        raise _unreadable() from None
    return _reply(block, ask, model, completion)


def _arguments(ask: Ask, model: str, base_url: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": ask.system}] if ask.system else []
    # OpenAI's own newer models refuse the old name; most other servers know nothing but it.
    limit = "max_completion_tokens" if base_url == DEFAULT_BASE_URLS[ProviderName.OPENAI] else "max_tokens"
    optional = {"temperature": ask.temperature, limit: ask.max_tokens, "frequency_penalty": ask.frequency_penalty}
    return {
        "model": model,
        "messages": [*messages, {"role": "user", "content": ask.prompt}],
        **{name: value for name, value in optional.items() if value is not None},
    }


def _call_key(block: Block, arguments: dict[str, Any]) -> str:
    """Return the key of one call: a firing may ask several things, and asks the same when it is run again."""
    asked = json.dumps(arguments, sort_keys=True).encode()
    return f"{block.idempotency_key}:{hashlib.sha256(asked).hexdigest()[:16]}"


def _reply(block: Block, ask: Ask, model: str, completion: ChatCompletion) -> Reply:
    # The SDK checks nothing of what it reads: any part of it may be missing.
    choices = getattr(completion, "choices", None)
    text = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
    usage = getattr(completion, "usage", None)
    if choices or usage:
        input_tokens = _count(usage, "prompt_tokens", lambda: ask.system + ask.prompt)
        output_tokens = _count(usage, "completion_tokens", lambda: text or "")
        # Reported before anything can fail: the provider has done its work and will charge for it.
        block.report_usage(input_tokens=input_tokens, output_tokens=output_tokens, model=model)
    if not choices or not isinstance(text, str):
        raise _unreadable()
    return Reply(text, input_tokens, output_tokens, model, is_cut=choices[0].finish_reason == "length")


def _count(usage: Any, name: str, text: Callable[[], str]) -> int:
    reported = getattr(usage, name, None)
    if isinstance(reported, int) and reported >= 0:
        return reported
    # What is not reported must not be free.
    return ceil(len(text()) / CHARACTERS_PER_TOKEN)


def _client(base_url: str, api_key: str) -> AsyncOpenAI:
    from openai import AsyncOpenAI

    loop = asyncio.get_running_loop()
    with _lock:
        clients = _clients.setdefault(loop, OrderedDict())
    key = (base_url, api_key)
    if key not in clients:
        # Retrying is the platform's: it knows the node's policy, waits without holding a slot, and counts attempts.
        clients[key] = AsyncOpenAI(
            base_url=base_url, api_key=api_key or "none", http_client=http.client(), max_retries=0, timeout=TIMEOUT_S
        )
    clients.move_to_end(key)
    if len(clients) > MAX_CLIENTS:
        clients.popitem(last=False)
    return clients[key]


def _told(error: Any, api_key: str) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    told = str(body.get("message") or "")[:300].rstrip(".")
    return told.replace(api_key, "***") if api_key else told


def _unreadable() -> BlockError:
    return BlockError(
        "The model's provider answered something that is not a reply.",
        code="PROVIDER_ERROR",
        hint="Check that the base address is that of an OpenAI-compatible API; it usually ends in /v1.",
    )
