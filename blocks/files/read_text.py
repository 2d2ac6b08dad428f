"""Reading a text from a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, Example, FileRef

A_FILE = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"


class ReadTextFileInput(BlockSchema):
    file: FileRef = Field(description="The file to read.")
    encoding: Literal["utf-8", "utf-16", "latin-1"] = Field(default="utf-8", description="How its text is written.")


class ReadTextFileOutput(BlockSchema):
    text: str = Field(description="What is in it.")
    name: str = Field(description="What it is called.")


class ReadTextFileBlock(Block):
    """Read a text file."""

    id = "read-text-file-block"
    name = "Read text file"
    description = "Gives the text in a file."
    input_schema, output_schema = ReadTextFileInput, ReadTextFileOutput
    always_yields = frozenset({"text", "name"})
    examples = (
        Example(
            given={"file": {"file_id": A_FILE}},
            files={A_FILE: "green tea"},
            gives=[("text", "green tea"), ("name", A_FILE)],
        ),
    )

    async def execute(self, input_data: ReadTextFileInput) -> AsyncIterator[tuple[str, Any]]:
        file = await self.read_file(input_data.file)
        # A mark of the byte order at its beginning is no part of the text.
        encoding = "utf-8-sig" if input_data.encoding == "utf-8" else input_data.encoding
        try:
            text = file.content.decode(encoding)
        except UnicodeDecodeError as error:
            raise BlockError(
                f"{file.name!r} is no text in {input_data.encoding}: {error.reason} at byte {error.start:,}.",
                code="FILE_NOT_TEXT",
                hint="Choose another encoding, or another file.",
            ) from None
        yield "text", text
        yield "name", file.name
