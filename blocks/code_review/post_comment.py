"""Writing under a pull request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.code_review._reference import from_header, parse
from blocks.http._client import ask_provider
from blocks.sdk import Block, BlockError, BlockSchema, Effects, Example
from integrations.providers import ProviderName


class PostCommentInput(BlockSchema):
    input: str = Field(min_length=1, max_length=60_000, description="The text of the comment.")
    target: str = Field(
        default="", description="Where: `owner/repository#12`. Empty: where the first line of a review says it belongs."
    )


class PostCommentOutput(BlockSchema):
    output: str = Field(description="The address of the comment.")


class PostCommentBlock(Block):
    """Post a comment to a pull request or an issue on GitHub."""

    id = "comment-block"
    name = "Post comment"
    description = "Writes a comment under a GitHub pull request or issue."
    effects = Effects.AT_MOST_ONCE
    credentials_required = (ProviderName.GITHUB,)
    input_schema, output_schema = PostCommentInput, PostCommentOutput
    examples = (
        Example(
            given={"input": "Nice.", "target": "ann/tea#7"},
            answers=[
                {
                    "method": "POST",
                    "path": "/repos/ann/tea/issues/7/comments",
                    "status": 201,
                    "json": {"html_url": "https://github.com/ann/tea/pull/7#issuecomment-1"},
                }
            ],
            gives=[("output", "https://github.com/ann/tea/pull/7#issuecomment-1")],
        ),
    )

    async def execute(self, input_data: PostCommentInput) -> AsyncIterator[tuple[str, Any]]:
        target = parse(input_data.target) if input_data.target else from_header("Review", input_data.input)
        if target is None:
            raise BlockError(
                "It is not said where to comment.",
                code="REFERENCE_INVALID",
                hint="Set `target` to `owner/repository#12`.",
            )
        answer = await ask_provider(
            self,
            ProviderName.GITHUB,
            f"{target.path}/issues/{target.number}/comments",
            method="POST",
            headers={"Accept": "application/vnd.github+json"},
            body={"body": input_data.input},
        )
        posted = answer.json()
        yield "output", str(posted.get("html_url", "")) if isinstance(posted, dict) else ""
