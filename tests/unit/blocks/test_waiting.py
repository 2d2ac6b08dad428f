"""What a block may wait for, and what it gets: without a platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from agentplatform.lib.clock import now
from blocks.flow.ask_approval import AskApprovalBlock
from blocks.sdk import Approval, Block, BlockError, BlockSchema
from blocks.sdk.testing import MemoryContext, run_block
from blocks.sdk.waiting import LONGEST_WAIT_S, Suspended, WaitFor


class Form(BaseModel):
    amount: int


class Output(BlockSchema):
    output: Any


class Waits(Block):
    """Does what a test tells it to."""

    id = "test.waits"
    name = "Waits"
    description = "Waits."
    input_schema, output_schema = BlockSchema, Output
    what: Callable[[Block], Awaitable[Any]]

    async def execute(self, input_data: BlockSchema) -> AsyncIterator[tuple[str, Any]]:
        yield "output", await type(self).what(self)


async def ask(what: Callable[[Block], Awaitable[Any]], **answers: dict[str, Any]) -> Any:
    """Return what a block gets that waits like this, if these come for its waits."""
    context = MemoryContext(answers={key.replace("_", "-"): answer for key, answer in answers.items()})
    return await what(Waits(context))


async def asked(what: Callable[[Block], Awaitable[Any]], **answers: dict[str, Any]) -> WaitFor:
    """Return what a block is suspended for that waits like this."""
    with pytest.raises(Suspended) as suspended:
        await ask(what, **answers)
    return suspended.value.wait


async def refused(what: Callable[[Block], Awaitable[Any]], **answers: dict[str, Any]) -> str:
    """Return the code with which a block fails that waits like this."""
    with pytest.raises(BlockError) as error:
        await ask(what, **answers)
    return error.value.code


class TestTime:
    async def test_that_is_short_is_slept(self):
        await ask(lambda block: block.wait_for(0.001))
        await ask(lambda block: block.wait_until(now() - timedelta(days=9)))

    async def test_that_is_long_is_suspended_for(self):
        wait = await asked(lambda block: block.wait_for(30.5))

        assert (wait.kind, wait.due_in_s, wait.call_key) == ("TIMER", 30.5, "wait-0")

    async def test_may_be_told_as_a_moment(self):
        moment = now() + timedelta(days=30)

        wait = await asked(lambda block: block.wait_until(moment))

        assert wait.due_at == moment

    @pytest.mark.parametrize("seconds", [-0.1, LONGEST_WAIT_S + 1, float("nan"), float("inf")])
    async def test_has_its_bounds(self, seconds):
        assert await refused(lambda block: block.wait_for(seconds)) == "WAIT_INVALID"

    @pytest.mark.parametrize("moment", [datetime(2027, 1, 1), datetime(2999, 1, 1, tzinfo=UTC)])  # noqa: DTZ001
    async def test_has_a_zone_and_bounds_as_a_moment_too(self, moment):
        assert await refused(lambda block: block.wait_until(moment)) == "WAIT_INVALID"


class TestAnApproval:
    async def test_is_asked_for_with_its_form(self):
        wait = await asked(
            lambda block: block.ask_approval(
                "Pay?", Form, data={"to": "Ada"}, users=["ben", 7], groups=["Staff"], timeout_s=60, on_timeout="reject"
            )
        )

        assert wait.form == {**Form.model_json_schema(), "x-order": ["amount"]}
        assert (wait.title, wait.data, wait.allowed_users, wait.allowed_groups) == (
            "Pay?",
            {"to": "Ada"},
            ("ben", 7),
            ("Staff",),
        )
        assert (wait.due_in_s, wait.timeout_action, wait.is_editable) == (60, "reject", False)

    async def test_brings_the_form_filled_in(self):
        came = {"answer": {"approved": True, "answer": {"amount": 7}}, "answered_by": "ben", "comment": "Fine."}

        approval = await ask(lambda block: block.ask_approval("Pay?", Form, data=1), wait_0=came)

        assert approval == Approval(True, Form(amount=7), 1, "ben", "Fine.")

    async def test_brings_the_data_as_the_person_left_it(self):
        came = {"answer": {"approved": True, "data": 2}}

        approval = await ask(lambda block: block.ask_approval("Pay?", data=1, editable=True), wait_0=came)

        assert approval.data == 2

    @pytest.mark.parametrize(("action", "approved"), [("approve", True), ("reject", False)])
    async def test_may_be_decided_by_time(self, action, approved):
        approval = await ask(
            lambda block: block.ask_approval("Pay?", Form, data=1, timeout_s=1, on_timeout=action),
            wait_0={"status": "TIMED_OUT"},
        )

        assert approval == Approval(approved, data=1)

    async def test_fails_otherwise_when_time_is_over(self):
        code = await refused(lambda block: block.ask_approval("Pay?", timeout_s=1), wait_0={"status": "TIMED_OUT"})

        assert code == "APPROVAL_TIMED_OUT"

    async def test_fails_where_the_answer_does_not_fit_the_model(self):
        came = {"answer": {"approved": True, "answer": {"amount": "many"}}}

        assert await refused(lambda block: block.ask_approval("Pay?", Form), wait_0=came) == "ANSWER_INVALID"

    @pytest.mark.parametrize(
        "asking",
        [
            {"title": ""},
            {"title": "x" * 201},
            {"title": "Pay?", "data": object()},
            {"title": "Pay?", "data": float("nan")},
            {"title": "Pay?", "timeout_s": -1},
            {"title": "Pay?", "on_timeout": "wait"},
            {"title": "Pay?", "key": ""},
            {"title": "Pay?", "key": "x" * 61},
        ],
    )
    async def test_is_refused_where_it_can_not_be_asked(self, asking):
        assert await refused(lambda block: block.ask_approval(**asking)) == "WAIT_INVALID"


class TestAnEvent:
    async def test_brings_what_came_with_it(self):
        assert await ask(lambda block: block.wait_for_event("paid"), wait_0={"answer": {"amount": 1}}) == {"amount": 1}

    async def test_may_have_to_contain_something(self):
        wait = await asked(lambda block: block.wait_for_event("paid", where={"invoice": 12}, timeout_s=5))

        assert (wait.event, wait.data, wait.due_in_s) == ("paid", {"invoice": 12}, 5)

    @pytest.mark.parametrize("default", [None, 7])
    async def test_may_have_a_default(self, default):
        came = await ask(lambda block: block.wait_for_event("paid", default=default), wait_0={"status": "TIMED_OUT"})

        assert came == default

    async def test_fails_without_one_when_time_is_over(self):
        code = await refused(lambda block: block.wait_for_event("paid"), wait_0={"status": "TIMED_OUT"})

        assert code == "EVENT_TIMED_OUT"


class TestSeveralWaits:
    async def test_are_told_apart_by_their_number(self):
        async def twice(block: Block) -> Any:
            first = await block.wait_for_event("one")
            return [first, await block.wait_for_event("two")]

        second = await asked(twice, wait_0={"answer": 1})
        both = await ask(twice, wait_0={"answer": 1}, wait_1={"answer": 2})

        assert (second.call_key, second.event, both) == ("wait-1", "two", [1, 2])

    async def test_that_have_keys_are_not_counted(self):
        async def twice(block: Block) -> Any:
            await block.wait_for_event("one", key="first")
            return await block.wait_for_event("two")

        assert (await asked(twice)).call_key == "key-first"
        assert (await asked(twice, key_first={"answer": 1})).call_key == "wait-0"

    async def test_at_once_are_answered_one_after_the_other(self):
        async def both(block: Block) -> Any:
            return await asyncio.gather(block.wait_for_event("one"), block.wait_for_event("two"))

        assert (await asked(both)).call_key == "wait-0"
        assert (await asked(both, wait_0={"answer": 1})).call_key == "wait-1"


class TestTheApprovalBlock:
    @pytest.mark.parametrize(
        "fields",
        [
            [{"name": "a"}, {"name": "a"}],
            [{"name": "a", "type": "choice"}],
        ],
    )
    async def test_refuses_a_form_that_nobody_can_fill_in(self, fields):
        with pytest.raises(BlockError) as error:
            await run_block(AskApprovalBlock, {"title": "Pay?", "fields": fields})

        assert error.value.code == "WAIT_INVALID"

    @pytest.mark.parametrize("name", ["model_config", "schema", "copy"])
    async def test_lets_a_field_have_any_name(self, name):
        context = MemoryContext(answers={"wait-0": {"answer": {"approved": True, "answer": {name: "x"}}}})
        given = {"title": "Pay?", "fields": [{"name": name, "title": "A name"}]}

        gives = await run_block(AskApprovalBlock, given, context=context)

        assert gives[0] == ("answer", {name: "x"})

    async def test_asks_for_each_field_by_its_type(self):
        types = ["text", "number", "whole number", "yes or no", "date"]
        fields = [{"name": f"f{place}", "type": type_} for place, type_ in enumerate(types)]

        with pytest.raises(Suspended) as suspended:
            await run_block(AskApprovalBlock, {"title": "Pay?", "fields": fields})

        form = suspended.value.wait.form
        assert [form["properties"][f"f{place}"]["type"] for place in range(5)] == [
            "string",
            "number",
            "integer",
            "boolean",
            "string",
        ]
        assert form["properties"]["f4"]["format"] == "date"
        assert form["required"] == ["f0", "f1", "f2", "f3", "f4"]
