"""Asking a language model through the OpenAI SDK: one question, one reply, from the first of several models that gives one."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks.llm._clients import PATIENCE, Connection, connect
from blocks.llm._errors import RETRY, translated
from blocks.llm._reading import Call, Said, read_pieces, read_whole
from blocks.llm._usage import Meter
from blocks.sdk import Block, BlockError

#: After these another model may do better.
FALLS_BACK = frozenset({"NOT_FOUND", "PROVIDER_ERROR", "PROVIDER_TIMEOUT", "RATE_LIMITED"})


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask a model; an empty `model` is the platform's default."""

    prompt: str
    system: str = ""
    model: str = ""
    #: Asked in turn, until one replies.
    fallback_models: Sequence[str] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    frequency_penalty: float | None = None
    #: Take the reply piece by piece: a model that stops in the middle is noticed sooner, and what it made is counted.
    #: Who watches sees it come.
    stream: bool = False
    #: What was said after the prompt.
    then: Sequence[Mapping[str, Any]] = ()
    #: What else the provider is told.
    options: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What it replied, and whether it was cut off at `max_tokens`."""

    text: str
    input_tokens: int
    output_tokens: int
    model: str
    is_cut: bool
    is_estimated: bool = False
    calls: Sequence[Call] = ()


def read_prompt(name: str, beside: str) -> str:
    """Return the text of a prompt from the folder `prompts` beside the file that asks."""
    return (Path(beside).parent / "prompts" / f"{name}.txt").read_text(encoding="utf-8").strip()


async def ask_model(block: Block, ask: Ask) -> Reply:
    """Return the model's reply, and report what it used.

    Raises:
        BlockError: it could not be asked, or refused; the code says how.
        AppError: the credential may not be sent there.
    """
    connection = await connect(block)
    failures: list[BlockError] = []
    models = models_of(block, ask)
    for model in models:
        try:
            # What has another model to fall back on holds nobody back.
            async with block.in_turn(connection.credentials, holds_back=model == models[-1]):
                return await _ask(block, connection, ask, model)
        except BlockError as failure:
            failures.append(failure)
            if failure.code not in FALLS_BACK:
                raise
    # Of all that was told, what may be over in a moment.
    raise next((failure for failure in failures if failure.code in RETRY.on), failures[0])


def models_of(block: Block, ask: Ask) -> list[str]:
    """Return the models to ask, in order.

    Raises:
        BlockError: there is none (`MODEL_MISSING`).
    """
    models = [ask.model or block.context.setting("OPENAI_MODEL"), *ask.fallback_models]
    if not models[0]:
        raise BlockError("No model is named.", code="MODEL_MISSING", hint="Name one on the node, or set OPENAI_MODEL.")
    return list(dict.fromkeys(model for model in models if model))


def call_key(block: Block, arguments: Mapping[str, Any]) -> str:
    """Return the key of one call: a firing may ask several things, and asks the same when it is run again."""
    asked = json.dumps(arguments, sort_keys=True).encode()
    return f"{block.idempotency_key}:{hashlib.sha256(asked).hexdigest()[:16]}"


async def _ask(block: Block, connection: Connection, ask: Ask, model: str) -> Reply:
    arguments = _arguments(ask, model, connection)
    more = json.dumps([*ask.then, ask.options]) if ask.then or ask.options else ""
    with translated(connection), Meter(block, model=model, given=ask.system + ask.prompt + more) as meter:
        said = (await _send(block, connection, arguments, meter)).checked()
    return Reply(
        text=said.text or "",
        input_tokens=meter.input_tokens,
        output_tokens=meter.output_tokens,
        model=model,
        is_cut=said.finish == "length",
        is_estimated=meter.is_estimated,
        calls=said.calls,
    )


async def _send(block: Block, connection: Connection, arguments: dict[str, Any], meter: Meter) -> Said:
    create = connection.sdk.chat.completions.create
    headers = {"Idempotency-Key": call_key(block, arguments)}
    if not arguments.get("stream"):
        async with asyncio.timeout(PATIENCE.total_s):
            return read_whole(await create(**arguments, extra_headers=headers), meter)
    async with asyncio.timeout(PATIENCE.piece_s) as limit:
        async with await create(**arguments, extra_headers=headers) as chunks:
            with block.context.shown() as show:
                return await read_pieces(chunks, meter, limit, show)


def _arguments(ask: Ask, model: str, connection: Connection) -> dict[str, Any]:
    messages = [{"role": "system", "content": ask.system}] if ask.system else []
    # OpenAI's own newer models refuse the old name; most other servers know nothing but it.
    limit = "max_completion_tokens" if connection.is_openai else "max_tokens"
    optional = {"temperature": ask.temperature, limit: ask.max_tokens, "frequency_penalty": ask.frequency_penalty}
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if ask.stream else {}
    return {
        "model": model,
        "messages": [*messages, {"role": "user", "content": ask.prompt}, *ask.then],
        **{name: value for name, value in optional.items() if value is not None},
        **streaming,
        **(ask.options or {}),
    }
