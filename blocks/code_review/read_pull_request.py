"""Reading a change on GitHub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.code_review._reference import parse, with_header
from blocks.http._client import RETRY, ask_provider
from blocks.sdk import Block, BlockSchema, Example
from integrations.providers import ProviderName


class ReadPullRequestInput(BlockSchema):
    input: str = Field(min_length=1, max_length=200, description="The pull request: `owner/repository#12`.")
    max_characters: int = Field(default=60_000, ge=1_000, le=1_000_000, description="How much of the change is given.")


class ReadPullRequestOutput(BlockSchema):
    output: str = Field(description="The change: a first line that names it, then its diff.")
    reference: str = Field(description="The pull request again, to be linked to who comments it.")


class ReadPullRequestBlock(Block):
    """Get the diff of a pull request."""

    id = "github-block"
    name = "Read pull request"
    description = "Gives the change of a GitHub pull request as a diff."
    credentials_required = (ProviderName.GITHUB,)
    retry = RETRY
    input_schema, output_schema = ReadPullRequestInput, ReadPullRequestOutput
    examples = (
        Example(
            given={"input": "ann/tea#7"},
            answers=[{"path": "/repos/ann/tea/pulls/7", "text": "--- a/cup\n+++ b/cup\n"}],
            gives=[("output", "Change of ann/tea#7\n\n--- a/cup\n+++ b/cup\n"), ("reference", "ann/tea#7")],
        ),
    )

    async def execute(self, input_data: ReadPullRequestInput) -> AsyncIterator[tuple[str, Any]]:
        reference = parse(input_data.input)
        answer = await ask_provider(
            self,
            ProviderName.GITHUB,
            f"{reference.path}/pulls/{reference.number}",
            headers={"Accept": "application/vnd.github.diff"},
        )
        yield "output", with_header("Change", reference, answer.text[: input_data.max_characters])
        yield "reference", str(reference)
