"""The docs say what the code does: their examples run, and every code and every link is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentplatform.local.paths import ROOT
from blocks import registry
from blocks.sdk import Block
from blocks.sdk.testing import run_block
from graphs import services
from graphs.documents import GraphModel, parse

README = (ROOT / "README.md").read_text()
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "clients").rglob("*.md"),
    ]
)
CODE_IN_PYTHON = re.compile(r"""\bcode: str = "([A-Z_]+)"|\bcode ?= ?"([A-Z_]+)"|\bProblem\(\s*"([A-Z_]+)\"""")
NOT_FOR_USERS = {"ERROR"}  # of the base class, which nobody raises
FOLDERS = ["access", "agentplatform", "blocks", "executions", "files", "graphs", "integrations"]


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def sources() -> Iterator[str]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            yield path.read_text()


def executed(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("text", code_blocks(README, "yaml"))
def test_a_graph_in_the_readme_can_be_published(text):
    graph = parse(text, "yaml")

    assert services.problems_of(graph) == []


def test_a_graph_built_in_the_readme_can_be_published():
    built = [executed(code) for code in code_blocks(README, "python") if "GraphModel(" in code]

    graphs = [value for names in built for value in names.values() if isinstance(value, GraphModel)]

    assert [services.problems_of(graph) for graph in graphs] == [[]]


async def test_a_block_in_the_readme_keeps_its_promise():
    names = [executed(code) for code in code_blocks(README, "python") if "(Block)" in code]
    (block,) = {one for found in names for one in found.values() if _is_own_block(one)}

    given = [await run_block(block, example.given) for example in block.examples]

    assert given == [list(example.gives) for example in block.examples]


def test_every_code_is_documented():
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", "\n".join(path.read_text() for path in PAGES)))
    codes = {code for text in sources() for match in CODE_IN_PYTHON.findall(text) for code in match if code}

    assert codes - NOT_FOR_USERS - documented == set(), "Add the code to docs/operations.md, blocks.md or graphs.md"


def test_every_block_has_a_line_in_the_docs():
    documented = set(re.findall(r"^\| `([\w.-]+)` \|", (ROOT / "docs" / "blocks.md").read_text(), flags=re.MULTILINE))
    ours = {block.id for block in registry.all_blocks() if block.__module__.startswith("blocks.")}

    assert ours - documented == set(), "Add a line to the table in docs/blocks.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_what_shows_that_something_is_refused_is_there():
    named = set(re.findall(r"`(tests/[\w/.]+)`", (ROOT / "docs" / "security.md").read_text()))

    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert len(named) > 10


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_names_its_context_choice_and_price(page: Path):
    text = page.read_text()

    assert [part for part in ("Context", "Choice", "Price") if f"**{part}.**" not in text] == []


def _is_own_block(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Block) and value.__module__ == "readme"
