"""Keeping what a web address gives as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import Field

from agentplatform.lib import http
from agentplatform.lib.retry_after import retry_after_of
from blocks.sdk import Block, BlockError, BlockSchema, Effects, Example, FileRef, Retry

PASSING = {408: "PROVIDER_ERROR", 429: "RATE_LIMITED", 500: "PROVIDER_ERROR", 502: "PROVIDER_ERROR"} | {
    503: "PROVIDER_ERROR",
    504: "PROVIDER_ERROR",
}


class FetchFileInput(BlockSchema):
    url: str = Field(min_length=1, max_length=8_000, description="The address, in full: https://example.com/path.")
    name: str = Field(default="", max_length=255, description="What it is to be called; empty: as the address ends.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers to send.")
    max_bytes: int = Field(
        default=10 * 1024 * 1024, gt=0, le=64 * 1024 * 1024, description="How large it may be; it is held in memory."
    )
    timeout_s: float = Field(default=60.0, gt=0, le=300, description="How many seconds it may take in all.")


class FetchFileOutput(BlockSchema):
    file: FileRef = Field(description="The file.")


class FetchFileBlock(Block):
    """Fetch a web address and keep its content as a file."""

    id = "fetch-file-block"
    name = "Fetch file"
    description = "Keeps what a web address gives as a file."
    effects = Effects.IDEMPOTENT
    retry = Retry(on=("HTTP_BAD_ANSWER", "HTTP_TIMEOUT", "HTTP_UNREACHABLE", "PROVIDER_ERROR", "RATE_LIMITED"))
    input_schema, output_schema = FetchFileInput, FetchFileOutput
    always_yields = frozenset({"file"})
    examples = (
        Example(
            given={"url": "{server}/tea.csv"},
            answers=[{"path": "/tea.csv", "status": 200, "text": "a,b"}],
            gives=[("file", ...)],
        ),
    )

    async def execute(self, input_data: FetchFileInput) -> AsyncIterator[tuple[str, Any]]:
        answer = await http.request(
            "GET",
            input_data.url,
            headers=input_data.headers,
            limits=http.Limits(timeout_s=input_data.timeout_s, max_bytes=input_data.max_bytes),
        )
        self.report_usage(bytes=len(answer.body))
        if not answer.is_success:
            raise BlockError(
                f"The address answered {answer.status}: {answer.text[:200].strip()}",
                code=PASSING.get(answer.status, "HTTP_STATUS"),
                hint="Check the address.",
                retry_after_s=retry_after_of(answer.headers),
            )
        name = input_data.name or unquote(urlsplit(answer.url).path.rpartition("/")[2]) or "file"
        yield (
            "file",
            await self.write_file(name, answer.body, content_type=answer.headers.get("content-type", "")),
        )
