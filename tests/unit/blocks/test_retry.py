"""What a policy may say, and what the blocks there are say."""

from __future__ import annotations

from typing import Any

import pytest

from agentplatform.local.paths import ROOT
from blocks import BLOCKS
from blocks.facts import BlockFacts
from blocks.sdk import Block, BlockType, Effects, Placement, Retry
from blocks.sdk.retry import HOPELESS, NEVER_RETRIED

WAITING_FOR_OTHERS = {
    "fetch-file-block",
    "http-request-block",
    "http-service-block",
    "llm-chat-block",
    "llm-claude-block",
    "llm-data-block",
    "llm-tools-block",
    "llm-embedding-block",
    "summarize-block",
    "search-block",
    "github-block",
    "review-block",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": 101},
        {"attempts": 2.5},
        {"delay_s": -1},
        {"delay_s": float("nan")},
        {"delay_s": 301},
        {"factor": 0.5},
        {"factor": float("inf")},
        {"max_delay_s": 86_401},
        {"jitter": 1.1},
        {"on": "TIMEOUT"},
        {"on": ["TIMEOUT"]},
        {"on": ("TIME OUT",)},
        {"on": ("",)},
        {"on": ("A" * 65,)},
        {"on": ("POISON",)},
        {"on": ("CANCELLED",)},
    ],
)
def test_a_policy_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Retry(**wrong)


def test_a_policy_may_name_what_is_hopeless_otherwise() -> None:
    assert Retry(on=("OUTPUT_INVALID", "my-own.code")).on == ("OUTPUT_INVALID", "my-own.code")


def test_blocks_that_ask_others_are_tried_again_and_no_others() -> None:
    assert {block.id for block in BLOCKS if block.retry is not None} == WAITING_FOR_OTHERS


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.retry], ids=lambda block: block.id)
def test_a_block_is_tried_again_only_for_what_may_be_over_in_a_moment(block: type[Block]) -> None:
    assert block.retry is not None
    assert block.effects is not Effects.AT_MOST_ONCE
    assert "RATE_LIMITED" in block.retry.on
    assert block.retry.attempts == 3


class TestFacts:
    @pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
    def test_are_the_same_after_they_were_stored(self, block: type[Block]) -> None:
        facts = BlockFacts.of(block)

        assert BlockFacts.from_data(facts.as_data()) == facts

    def test_are_stored_as_plain_values(self) -> None:
        facts = BlockFacts(Placement.CPU, BlockType.OUTPUT, Effects.AT_MOST_ONCE, frozenset("ba"), "x")

        assert facts.as_data() == {
            "placement": "cpu",
            "block_type": "output",
            "effects": "at_most_once",
            "streams": ["a", "b"],
            "gathers": "x",
        }

    def test_of_a_later_release_are_refused_where_they_are_not_understood(self) -> None:
        with pytest.raises(ValueError):
            BlockFacts.from_data(BlockFacts().as_data() | {"placement": "gpu"})

    def test_of_a_later_release_may_say_more(self) -> None:
        assert BlockFacts.from_data(BlockFacts().as_data() | {"colour": "red"}) == BlockFacts()


@pytest.mark.parametrize("code", sorted(HOPELESS | NEVER_RETRIED))
def test_the_docs_name_what_is_not_retried(code: str) -> None:
    _, _, section = (ROOT / "docs" / "graphs.md").read_text(encoding="utf-8").partition("## Trying again")

    assert f"`{code}`" in section.partition("\n## ")[0]
