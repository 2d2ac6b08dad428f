"""Asking any web address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any, Literal

from pydantic import Field

from agentplatform.lib import http
from agentplatform.lib.http import Answer
from agentplatform.lib.http_errors import HttpBadAnswer, HttpTimeout, HttpUnreachable
from agentplatform.lib.retry_after import retry_after_of
from blocks.sdk import Block, BlockError, BlockSchema, Credentials, Effects, Example, Retry
from integrations import providers
from integrations.providers import ProviderName

#: Asked twice, these do no more than asked once: HTTP itself says so.
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
#: The other side has done nothing, and may do it later.
TOO_MANY = 429
TURNED_AWAY = {TOO_MANY: "RATE_LIMITED", 503: "PROVIDER_ERROR"}
#: It may have done something, so that only what is repeatable may be asked again.
IN_TROUBLE = dict.fromkeys((408, 500, 502, 504), "PROVIDER_ERROR")


class SendRequestInput(BlockSchema):
    url: str = Field(min_length=1, max_length=8_000, description="The address, in full: https://example.com/path.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = Field(default="GET", description="What to do.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers to send.")
    query: dict[str, str | int | float | bool] = Field(default_factory=dict, description="What to put behind the `?`.")
    body: Any = Field(default=None, description="What to send: a text as it is, anything else as JSON.")
    accept_any_status: bool = Field(
        default=False, description="Treat an answer like 404 as an answer, not as an error."
    )
    timeout_s: float = Field(default=30.0, gt=0, le=300, description="How many seconds it may take in all.")


class SendRequestOutput(BlockSchema):
    status: int = Field(description="The status of the answer.")
    headers: dict[str, str] = Field(description="The headers of the answer, names in small letters.")
    body: str = Field(description="The answer as text.")
    data: Any = Field(description="The answer as a value, if it is JSON.")


class SendRequestBlock(Block):
    """Send one HTTP request and give its answer."""

    id = "http-request-block"
    name = "HTTP request"
    description = "Asks a web address and gives what it answers."
    effects = Effects.IDEMPOTENT
    # Not `TIMEOUT`, which may cut off a request that must not be repeated.
    retry = Retry(on=("HTTP_BAD_ANSWER", "HTTP_TIMEOUT", "HTTP_UNREACHABLE", "PROVIDER_ERROR", "RATE_LIMITED"))
    input_schema, output_schema = SendRequestInput, SendRequestOutput
    always_yields = frozenset({"status", "headers", "body"})
    examples = (
        Example(
            given={"url": "{server}/item", "query": {"id": 7}},
            answers=[{"path": "/item?id=7", "status": 200, "json": {"name": "tea"}}],
            gives=[("status", 200), ("headers", ...), ("body", '{"name": "tea"}'), ("data", {"name": "tea"})],
        ),
        Example(
            given={"url": "{server}/gone", "method": "POST", "body": {"a": 1}, "accept_any_status": True},
            answers=[{"method": "POST", "path": "/gone", "status": 404, "text": "No."}],
            gives=[("status", 404), ("headers", ...), ("body", "No.")],
        ),
    )

    async def execute(self, input_data: SendRequestInput) -> AsyncIterator[tuple[str, Any]]:
        answer = await self._answer(input_data, await self._credential())
        yield "status", answer.status
        yield "headers", dict(answer.headers)
        yield "body", answer.text
        try:
            yield "data", json.loads(answer.body)
        except (ValueError, RecursionError):
            return  # not JSON: nothing is yielded, and what hangs on `data` alone is skipped

    async def _credential(self) -> Credentials | None:
        """Return what to send along; `CallServiceBlock` does."""
        return None

    async def _answer(self, input_data: SendRequestInput, credential: Credentials | None) -> Answer:
        """Return the answer to be given, asked within the limit of the credential if it has one."""
        async with self.in_turn(credential) if credential else nullcontext():
            answer = await self._ask(input_data, credential)
            self.report_usage(bytes=len(answer.body))
            if not (answer.is_success or input_data.accept_any_status):
                raise _refused(input_data.method, answer)
        if credential and credential.rate_limiter and answer.status == TOO_MANY:
            await credential.rate_limiter.hold_back(retry_after_of(answer.headers) or 0.0)
        return answer

    async def _ask(self, input_data: SendRequestInput, credential: Credentials | None) -> Answer:
        key = providers.get(ProviderName.HTTP).headers_for(credential) if credential else {}
        taken = {name.lower() for name in key}
        others = {name: value for name, value in self._headers(input_data).items() if name.lower() not in taken}
        try:
            return await http.request(
                input_data.method,
                input_data.url,
                headers={**others, **key},
                params=input_data.query,
                body=input_data.body.encode() if isinstance(input_data.body, str) else input_data.body,
                limits=http.Limits(timeout_s=input_data.timeout_s),
                credential_hosts=credential.allowed_hosts if credential else None,
            )
        except (HttpTimeout, HttpUnreachable, HttpBadAnswer) as error:
            if input_data.method in REPEATABLE:
                raise
            raise BlockError(
                f"{error.message} It is not known whether it did what was asked.",
                code="HTTP_UNCERTAIN",
                hint="Look there. If it knows the header Idempotency-Key, this code may be named in the node's `retry`.",
            ) from None

    def _headers(self, input_data: SendRequestInput) -> dict[str, str]:
        if input_data.method in ("GET", "HEAD"):
            return input_data.headers
        # A second attempt of this firing sends the same key, so that the other side can tell.
        return {"Idempotency-Key": self.idempotency_key, **input_data.headers}


def _refused(method: str, answer: Answer) -> BlockError:
    trouble = IN_TROUBLE.get(answer.status) if method in REPEATABLE else None
    return BlockError(
        f"The address answered {answer.status}: {answer.text[:200].strip()}",
        code=TURNED_AWAY.get(answer.status) or trouble or "HTTP_STATUS",
        hint="Check the address and what is sent, or set `accept_any_status`.",
        retry_after_s=retry_after_of(answer.headers),
    )
