"""Searching the web."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from blocks.http._client import RETRY, ask_provider
from blocks.sdk import Block, BlockError, BlockSchema, Example
from integrations.providers import ProviderName


class SearchWebInput(BlockSchema):
    input: str = Field(min_length=1, max_length=400, description="What to look for.")
    max_results: int = Field(default=5, ge=1, le=50, description="How many results to give.")


class SearchWebOutput(BlockSchema):
    output: str = Field(description="The results as one text.")
    results: list[dict[str, str]] = Field(description="The results: `title`, `url`, `content`.")


class _Result(BaseModel):
    title: str = ""
    url: str = ""
    content: str | None = None


class _Answer(BaseModel):
    results: list[_Result]


class SearchWebBlock(Block):
    """Ask a search engine that speaks the JSON of SearXNG."""

    id = "search-block"
    name = "Search the web"
    description = "Asks a search engine (SearXNG) and gives the first results."
    credentials_required = (ProviderName.SEARCH,)
    retry = RETRY
    input_schema, output_schema = SearchWebInput, SearchWebOutput
    always_yields = frozenset({"output", "results"})
    examples = (
        Example(
            given={"input": "green tea", "max_results": 1},
            answers=[
                {
                    "path": "/search?q=green+tea&format=json",
                    "json": {
                        "results": [
                            {"title": "Tea", "url": "https://tea.example", "content": "A drink.", "engine": "x"},
                            {"title": "Green", "url": "https://green.example", "content": None},
                        ]
                    },
                }
            ],
            gives=[
                ("output", "Tea\nhttps://tea.example\nA drink."),
                ("results", [{"title": "Tea", "url": "https://tea.example", "content": "A drink."}]),
            ],
        ),
    )

    async def execute(self, input_data: SearchWebInput) -> AsyncIterator[tuple[str, Any]]:
        asked = {"q": input_data.input, "format": "json"}
        answer = await ask_provider(self, ProviderName.SEARCH, "/search", params=asked)
        try:
            found = _Answer.model_validate(answer.json()).results[: input_data.max_results]
        except ValidationError:
            raise BlockError(
                "The search engine answered something that is no list of results.",
                code="PROVIDER_ERROR",
                hint="Check its address, and that it allows the format `json`.",
            ) from None
        if not found:
            raise BlockError(
                f"Nothing was found for {input_data.input!r}.", code="NOT_FOUND", hint="Ask in other words."
            )
        results = [{"title": one.title, "url": one.url, "content": one.content or ""} for one in found]
        yield "output", "\n\n".join("\n".join(text for text in one.values() if text) for one in results)
        yield "results", results
