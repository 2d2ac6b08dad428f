"""The id of a sub-graph follows from who calls it, and how."""

from __future__ import annotations

from dataclasses import replace
from uuid import RFC_4122

import pytest

from agentplatform.lib.ids import uuid7
from executions.children import Call, Caller, child_id
from tests.ids import born_at

CALLER = Caller(uuid7(), "loop", (2,), fence=7, owner_id=1, depth=0)
NUMBERED = Call(CALLER, "0", False, graph_id="g", inputs={"a": 1, "b": [2.5]})
NAMED = Call(CALLER, "0", True, graph_id="g", inputs={"a": 1})


@pytest.mark.parametrize("call", [NUMBERED, NAMED])
def test_is_born_when_its_caller_was(call):
    id_ = child_id(call)

    assert (id_.version, id_.variant) == (7, RFC_4122)
    assert born_at(id_) == born_at(CALLER.execution_id)


@pytest.mark.parametrize(
    "again",
    [
        replace(NUMBERED, caller=replace(CALLER, fence=8, has_past=True)),
        replace(NUMBERED, inputs={"b": [2.5], "a": 1}),
    ],
)
def test_is_the_same_when_the_block_runs_again(again):
    assert child_id(again) == child_id(NUMBERED)


@pytest.mark.parametrize(
    "other",
    [
        replace(NUMBERED, key="1"),
        replace(NUMBERED, inputs={"a": 2, "b": [2.5]}),
        replace(NUMBERED, graph_id="h"),
        replace(NUMBERED, version_id="v"),
        replace(NUMBERED, is_named=True),
        replace(NUMBERED, caller=replace(CALLER, path=(3,))),
        replace(NUMBERED, caller=replace(CALLER, node_key="other")),
        replace(NUMBERED, caller=replace(CALLER, execution_id=uuid7())),
    ],
)
def test_is_another_for_another_call(other):
    assert child_id(other) != child_id(NUMBERED)


def test_is_told_by_the_key_alone_where_there_is_one():
    assert child_id(replace(NAMED, inputs={"a": object()}, graph_id="h")) == child_id(NAMED)


def test_is_another_for_each_time_that_its_caller_is_tried_again():
    assert len({child_id(NAMED, retry) for retry in range(3)}) == 3
