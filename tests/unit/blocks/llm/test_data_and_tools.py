"""Data that fits a schema, tools that are declared, vectors of texts: nothing of what a model writes is taken on trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentplatform.lib.errors import AppError
from blocks.llm._schemas import MAX_REFERENCES, problem_of, read
from blocks.llm.ask_data import AskDataBlock
from blocks.llm.choose_tools import ChooseToolsBlock
from blocks.llm.embed_texts import EmbedTextsBlock
from blocks.sdk.testing import MemoryContext, run_block
from tests.scripted_llm import answering, scripted, whole

ContextAt = Callable[[str], MemoryContext]
SCHEMA = {"type": "object", "properties": {"cups": {"type": "integer"}}, "required": ["cups"]}
BREW = {"name": "brew", "parameters": SCHEMA}
USAGE = {"prompt_tokens": 9, "completion_tokens": 2}


class TestData:
    async def run(self, context: MemoryContext, **given: Any) -> dict[str, Any]:
        """Ask for data, and return what the block yields, by pin."""
        asked = {"prompt": "How many cups?", "model": "small", "json_schema": SCHEMA, **given}
        return dict(await run_block(AskDataBlock, asked, context=context))

    async def test_is_asked_for_by_schema(self, context_at: ContextAt) -> None:
        async with scripted(whole('{"cups": 2}', usage=USAGE)) as server:
            replied = await self.run(context_at(server.url))

        assert replied["data"] == {"cups": 2}
        assert server.bodies[0]["response_format"]["json_schema"]["schema"] == SCHEMA

    async def test_may_be_corrected_once_and_both_replies_are_charged(self, context_at: ContextAt) -> None:
        async with scripted(whole("Two.", usage=USAGE), whole('```json\n{"cups": 2}\n```', usage=USAGE)) as server:
            context = context_at(server.url)
            replied = await self.run(context)

        assert replied["data"] == {"cups": 2}
        assert replied["usage"] == context.usage.as_dict()
        assert context.usage.input_tokens == 18
        assert [message["role"] for message in server.bodies[1]["messages"]] == ["user", "assistant", "user"]

    async def test_is_refused_if_it_does_not_fit_twice(self, context_at: ContextAt) -> None:
        async with scripted(whole('{"cups": "2"}', usage=USAGE), whole("{}", usage=USAGE)) as server:
            context = context_at(server.url)
            with pytest.raises(AppError) as failed:
                await self.run(context)

        assert failed.value.code == "OUTPUT_INVALID"
        assert "'cups' is a required property" in failed.value.message
        assert context.usage.input_tokens == 18

    @pytest.mark.parametrize("schema", [{"type": "tea"}, {"patternProperties": {"(a+)+$": {}}}, {"x": "y" * 60_000}])
    async def test_is_not_asked_for_by_what_is_no_schema(self, schema: Any, context_at: ContextAt) -> None:
        with pytest.raises(AppError) as failed:
            await self.run(context_at("http://127.0.0.1:9/v1"), json_schema=schema)

        assert failed.value.code == "INPUT_INVALID"


class TestSchema:
    def test_never_asks_another_address(self) -> None:
        """S6: a reference is no reason to fetch anything."""
        assert problem_of({}, {"$ref": "http://169.254.169.254/schema"})

    def test_compares_with_patterns_in_linear_time(self) -> None:
        assert problem_of("a" * 5_000 + "!", {"type": "string", "pattern": "^(a+)+$"})

    def test_does_not_follow_references_for_ever(self) -> None:
        doubled = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}

        problem = problem_of(1, {"$defs": {**doubled, "d40": {}}, "$ref": "#/$defs/d0"})

        assert "circles" in problem
        assert MAX_REFERENCES < 2**40

    @pytest.mark.parametrize("text", ["", "tea", "{", "NaN", '{"cups": Infinity}', "[" * 100_000])
    def test_fits_nothing_that_is_no_json(self, text: str) -> None:
        assert read(text, {}) == (None, "It is not JSON.")


class TestTools:
    async def run(self, context: MemoryContext, **given: Any) -> list[tuple[str, Any]]:
        """Let the model choose, and return what the block yields."""
        asked = {"prompt": "Make tea.", "model": "small", "tools": [BREW], **given}
        return await run_block(ChooseToolsBlock, asked, context=context)

    def calling(self, name: str, arguments: str) -> Any:
        """Return the step of a model that wants one call."""
        call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
        return whole(None, usage=USAGE, finish="tool_calls", tool_calls=[call])

    async def test_are_told_to_the_model(self, context_at: ContextAt) -> None:
        async with scripted(self.calling("brew", '{"cups": 2}')) as server:
            await self.run(context_at(server.url), must_choose=True)

        told = server.bodies[0]
        assert [tool["function"]["name"] for tool in told["tools"]] == ["brew"]
        assert told["tool_choice"] == "required"

    async def test_need_not_be_chosen(self, context_at: ContextAt) -> None:
        async with scripted(whole("No tea today.", usage=USAGE)) as server:
            yielded = await self.run(context_at(server.url))

        assert [pair for pair in yielded if pair[0] != "usage"] == [("calls", []), ("response", "No tea today.")]

    @pytest.mark.parametrize(
        ("name", "arguments", "code"),
        [
            ("send_key", '{"cups": 2}', "TOOL_NOT_ALLOWED"),
            ("", "{}", "TOOL_NOT_ALLOWED"),
            ("brew", "{", "OUTPUT_INVALID"),
            ("brew", '{"cups": "two"}', "OUTPUT_INVALID"),
        ],
    )
    async def test_are_only_those_declared_with_what_fits(
        self, name: str, arguments: str, code: str, context_at: ContextAt
    ) -> None:
        """S28: what the model has read does not decide what may be called."""
        async with scripted(self.calling(name, arguments)) as server:
            context = context_at(server.url)
            with pytest.raises(AppError) as failed:
                await self.run(context)

        assert failed.value.code == code
        assert context.usage.input_tokens == 9


class TestEmbeddings:
    async def run(self, context: MemoryContext) -> dict[str, Any]:
        """Embed two texts, and return what the block yields, by pin."""
        return dict(await run_block(EmbedTextsBlock, {"texts": ["tea", "milk"], "model": "small"}, context=context))

    async def test_are_estimated_if_the_provider_does_not_count(self, context_at: ContextAt) -> None:
        data = [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [2]}]
        async with scripted(answering(json.dumps({"data": data}))) as server:
            context = context_at(server.url)
            gives = await self.run(context)

        assert gives["embeddings"] == [[1.0], [2.0]]
        assert context.usage.as_dict() == {"input_tokens": 2, "estimates": 1, "model": "small"}

    @pytest.mark.parametrize(
        "data",
        [
            None,
            [],
            [{"index": 0, "embedding": [1]}],
            [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}],
            [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": []}],
            [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": ["x"]}],
            [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [10**400]}],
            [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [float("nan")]}],
            [{"index": [0], "embedding": [1]}, 7],
        ],
    )
    async def test_are_refused_unless_there_is_one_for_each(self, data: Any, context_at: ContextAt) -> None:
        async with scripted(answering(json.dumps({"data": data, "usage": {"prompt_tokens": 2}}))) as server:
            context = context_at(server.url)
            with pytest.raises(AppError) as failed:
                await self.run(context)

        assert failed.value.code == "PROVIDER_ERROR"
        assert context.usage.input_tokens >= 1
