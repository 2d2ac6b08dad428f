"""Looking blocks up, and refusing those that do not keep the contract."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from blocks import BLOCKS, registry
from blocks.errors import BlockDisabled, BlockInvalid, UnknownBlock
from blocks.sdk import Block, Effects, Retry


class Pins(BaseModel):
    value: int = 0


class Fine(Block):
    """A block with nothing wrong."""

    id = "fine"
    name = "Fine"
    description = "Fine."
    input_schema = output_schema = Pins

    async def execute(self, input_data: Pins) -> AsyncIterator[tuple[str, Any]]:
        yield "value", input_data.value


async def returns_nothing(self: Block, input_data: Any) -> None:
    """Stand for an `execute` that was written without `yield`."""


@pytest.fixture(autouse=True)
def keep_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test registers."""
    monkeypatch.setattr(registry, "_blocks", dict(registry._blocks))


def changed(**attributes: Any) -> type[Block]:
    """Return a fine block with these attributes changed."""
    return type("Changed", (Fine,), attributes)


class TestGet:
    @pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
    def test_finds_every_block_of_the_list(self, block: type[Block]) -> None:
        assert registry.get(block.id) is block

    def test_names_a_block_that_may_be_meant(self) -> None:
        with pytest.raises(UnknownBlock) as unknown:
            registry.get("template-blok")

        assert unknown.value.as_dict()["code"] == "UNKNOWN_BLOCK"
        assert "template-block" in unknown.value.hint

    def test_finds_a_disabled_block_but_does_not_let_it_run(self) -> None:
        off = changed(disabled=True)
        registry.register(off)

        assert registry.get("fine") is off
        with pytest.raises(BlockDisabled):
            registry.runnable("fine")


class TestRegister:
    def test_takes_the_same_class_twice(self) -> None:
        registry.register(Fine, Fine)

        assert registry.all_blocks().count(Fine) == 1

    def test_refuses_another_class_with_the_same_id(self) -> None:
        registry.register(Fine)

        with pytest.raises(BlockInvalid, match="belongs to"):
            registry.register(changed())

    @pytest.mark.parametrize(
        ("block", "words"),
        [
            (changed(id=""), "has no id"),
            (changed(id="a b"), "the id 'a b'"),
            (changed(id="a" * 65), "64"),
            (changed(id="a\n"), "the id"),
            (changed(name=" "), "has no name"),
            (changed(description=None), "has no description"),
            (changed(input_schema=dict), "input_schema is not a pydantic model"),
            (changed(output_schema=Pins()), "output_schema is not a pydantic model"),
            (changed(streams=frozenset({"values"})), "streams names values"),
            (changed(gathers="values"), "gathers names 'values'"),
            (changed(retry={"attempts": 2}), "retry is not a Retry"),
            (changed(retry=Retry(), effects=Effects.AT_MOST_ONCE), "must not happen twice"),
            (changed(execute=returns_nothing), "not an async generator"),
            (changed(execute=lambda self, input_data: iter(())), "not an async generator"),
            (Pins, "not a subclass of Block"),
            (object(), "not a subclass of Block"),
        ],
    )
    def test_says_what_a_block_lacks(self, block: Any, words: str) -> None:
        with pytest.raises(BlockInvalid, match=words):
            registry.register(block)


class TestLoadExtra:
    def test_registers_a_list_that_lives_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.modules[__name__], "EXTRA", [Fine], raising=False)

        registry.load_extra([f"{__name__}:EXTRA"])

        assert registry.get("fine") is Fine

    @pytest.mark.parametrize(
        "reference", ["no.such.module:LIST", "blocks:NOT_THERE", "blocks", "", ":X", "blocks.sdk:__all__"]
    )
    def test_says_which_reference_leads_nowhere(self, reference: str) -> None:
        with pytest.raises(BlockInvalid):
            registry.load_extra([reference])


def test_importing_the_blocks_loads_nothing_slow() -> None:
    slow = {"openai", "httpx2", "jinja2", "django", "celery"}
    program = f"import sys, blocks.registry; print(*sorted({slow!r} & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []
