"""Writing a text to a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Effects, Example, FileRef


class WriteTextFileInput(BlockSchema):
    text: str = Field(description="What is to be in it.")
    name: str = Field(default="text.txt", min_length=1, max_length=255, description="What it is to be called.")
    content_type: str = Field(default="text/plain", description="What it is, such as `text/csv`.")
    expires_in_s: float | None = Field(
        default=None, gt=0, le=10 * 366 * 86_400, description="For how many seconds it is kept; without it, for good."
    )


class WriteTextFileOutput(BlockSchema):
    file: FileRef = Field(description="The file.")


class WriteTextFileBlock(Block):
    """Write a text file."""

    id = "write-text-file-block"
    name = "Write text file"
    description = "Keeps a text as a file."
    effects = Effects.IDEMPOTENT
    input_schema, output_schema = WriteTextFileInput, WriteTextFileOutput
    always_yields = frozenset({"file"})
    examples = (Example(given={"text": "a,b", "name": "tea.csv"}, gives=[("file", ...)]),)

    async def execute(self, input_data: WriteTextFileInput) -> AsyncIterator[tuple[str, Any]]:
        yield (
            "file",
            await self.write_file(
                input_data.name,
                input_data.text,
                content_type=input_data.content_type,
                expires_in_s=input_data.expires_in_s,
            ),
        )
