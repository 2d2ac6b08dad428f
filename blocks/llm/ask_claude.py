"""Asking a language model that speaks the protocol of Anthropic."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import Field

from agentplatform.lib import http
from agentplatform.lib.http_errors import HttpBadAnswer
from blocks.http._client import RETRY, refusal
from blocks.llm._asking import call_key
from blocks.llm._clients import PATIENCE
from blocks.llm._errors import declined, shown, unreadable
from blocks.llm._inputs import USAGE, Used
from blocks.llm._usage import Meter
from blocks.sdk import Block, BlockCostConfig, BlockError, BlockSchema, Credentials, Example
from integrations import providers
from integrations.providers import ProviderName


class AskClaudeInput(BlockSchema):
    prompt: str = Field(min_length=1, description="What to ask.")
    model: str = Field(min_length=1, description="The model's name.")
    system: str = Field(default="", description="How the model is to behave.")
    temperature: float | None = Field(default=None, ge=0, le=1, description="0 is steady, higher is livelier.")
    max_tokens: int = Field(default=1_024, ge=1, le=200_000, description="How long the reply may get.")


class AskClaudeOutput(BlockSchema):
    response: str = Field(description="What the model replied.")
    usage: Used = Field(description=USAGE)


class AskClaudeBlock(Block):
    """Send a prompt to a language model of Anthropic, or of a server that speaks its protocol."""

    id = "llm-claude-block"
    name = "Ask Claude"
    description = "Sends a prompt to a model of Anthropic and gives its reply."
    credentials_required = (ProviderName.ANTHROPIC,)
    cost_config = BlockCostConfig("token", 0.000075, "anthropic")
    retry = RETRY
    input_schema, output_schema = AskClaudeInput, AskClaudeOutput
    always_yields = frozenset({"response", "usage"})
    examples = (
        Example(
            given={"prompt": "Name a drink.", "model": "small"},
            answers=[
                {
                    "method": "POST",
                    "path": "/messages",
                    "json": {
                        "content": [{"type": "text", "text": "Tea"}],
                        "stop_reason": "end_turn",
                        "usage": {"input_tokens": 9, "output_tokens": 1},
                    },
                }
            ],
            gives=[("response", "Tea"), ("usage", {"input_tokens": 9, "output_tokens": 1, "model": "small"})],
        ),
    )

    async def execute(self, input_data: AskClaudeInput) -> AsyncIterator[tuple[str, Any]]:
        body: dict[str, Any] = input_data.model_dump(include={"model", "max_tokens"})
        body["messages"] = [{"role": "user", "content": input_data.prompt}]
        body |= {"system": input_data.system} if input_data.system else {}
        body |= {} if input_data.temperature is None else {"temperature": input_data.temperature}
        credentials = await self.get_credentials(ProviderName.ANTHROPIC)
        async with self.in_turn(credentials):
            with Meter(self, model=input_data.model, given=input_data.system + input_data.prompt) as meter:
                answer = await self._answer(body, credentials)
                meter.is_free = not answer.is_success
                if meter.is_free:
                    raise _refused(answer, credentials.api_key)
                text = _read(answer, meter)
        yield "response", text
        yield "usage", meter.counted

    async def _answer(self, body: Mapping[str, Any], credentials: Credentials) -> http.Answer:
        known = providers.get(ProviderName.ANTHROPIC)
        return await http.request(
            "POST",
            (credentials.base_url or known.base_url).rstrip("/") + "/messages",
            headers={"Idempotency-Key": call_key(self, body), **known.headers_for(credentials)},
            body=body,
            limits=http.Limits(timeout_s=PATIENCE.total_s),
            credential_hosts=credentials.allowed_hosts,
        )


def _read(answer: http.Answer, meter: Meter) -> str:
    told = _dict(answer.json())
    used = _dict(told.get("usage"))
    kept, written = (used.get(f"cache_{what}_input_tokens") or 0 for what in ("read", "creation"))
    # What was in the cache is not among its input, and costs something all the same.
    counts: list[Any] = [used.get("input_tokens"), kept, written]
    given = sum(counts) if all(isinstance(count, int) for count in counts) else None
    cached = SimpleNamespace(cached_tokens=kept)
    meter.heard(
        SimpleNamespace(prompt_tokens=given, completion_tokens=used.get("output_tokens"), prompt_tokens_details=cached)
    )
    parts = [_dict(part) for part in told["content"]] if isinstance(told.get("content"), list) else []
    texts = [part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)]
    meter.made += texts
    if told.get("stop_reason") == "refusal":
        raise declined("")
    if not texts:
        raise unreadable()
    return "".join(texts)


def _refused(answer: http.Answer, api_key: str) -> BlockError:
    try:
        told = str(_dict(_dict(answer.json()).get("error")).get("message") or "")
    except HttpBadAnswer:
        told = ""
    return refusal("The model's provider", answer.status, shown(told, api_key), answer.headers)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
