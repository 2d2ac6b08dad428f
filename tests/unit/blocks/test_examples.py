"""Every block does what its own examples say, and every block on disk is known."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from blocks import BLOCKS
from blocks.registry import validate_output
from blocks.sdk import Block, Example
from blocks.sdk.testing import is_as_said, run_block
from integrations.providers import ProviderName
from tests.mail_server import MailServer, credential_of, trusted_mail_server
from tests.outside import address_of, allow_only, context_of, host_of, script


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """A mail server that the platform trusts."""
    with trusted_mail_server(tmp_path_factory.mktemp("tls")) as server:
        yield server


ROOT = Path(__file__).parents[3] / "blocks"
EXAMPLES = [
    pytest.param(block, example, id=f"{block.id}-{number}")
    for block in BLOCKS
    for number, example in enumerate(block.examples)
]


@pytest.mark.parametrize(("block", "example"), EXAMPLES)
async def test_does_what_its_example_says(
    block: type[Block],
    example: Example,
    httpserver: HTTPServer,
    mail: MailServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script(httpserver, example.answers)
    allow_only(monkeypatch, host_of(httpserver), mail.place)
    given = _filled(example.given, address_of(httpserver))
    context = context_of(block, address_of(httpserver), example.waits)
    if ProviderName.SMTP in block.credentials_required:
        context.credentials = {ProviderName.SMTP: credential_of(mail)}
    context.sub_graphs = example.sub_graphs
    context.files = example.files

    gives = await run_block(block, given, context=context)

    httpserver.check()
    assert is_as_said(gives, example), gives


@pytest.mark.parametrize(("block", "example"), EXAMPLES)
def test_gives_what_fits_its_output_schema(block: type[Block], example: Example) -> None:
    said = [(pin, value) for pin, value in example.gives if value is not ...]

    checked = [(pin, validate_output(block, pin, value)) for pin, value in said]

    assert checked == said


@pytest.mark.parametrize(("block", "example"), EXAMPLES)
def test_always_yields_what_it_says(block: type[Block], example: Example) -> None:
    given = [pin for pin, _ in example.gives]

    assert block.always_yields <= set(block.output_schema.model_fields) - block.streams
    assert not example.gives or all(given.count(pin) == 1 for pin in block.always_yields)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
def test_has_an_example(block: type[Block]) -> None:
    assert block.examples, f"Give {block.__name__} an example: it is the block's test, and what its user sees first."


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
def test_describes_each_of_its_pins(block: type[Block]) -> None:
    models = (block.input_schema, block.output_schema)
    bare = [name for model in models for name, field in model.model_fields.items() if not field.description]

    assert not bare, f"Describe {', '.join(bare)} of {block.__name__} with Field(description=...)."


def test_every_block_on_disk_is_listed() -> None:
    listed = {block.__name__ for block in BLOCKS}

    assert _blocks_found_under(ROOT) == listed, "Add the new block to BLOCKS in blocks/__init__.py"


def test_every_block_is_described_in_the_docs() -> None:
    page = (ROOT.parent / "docs" / "blocks.md").read_text(encoding="utf-8")

    missing = [block.id for block in BLOCKS if f"`{block.id}`" not in page]

    assert not missing, f"Add a line for {', '.join(missing)} to docs/blocks.md"


def _filled(given: Any, address: str) -> Any:
    if isinstance(given, str):
        return given.replace("{server}", address)
    return {name: _filled(value, address) for name, value in given.items()} if isinstance(given, dict) else given


def _blocks_found_under(root: Path) -> set[str]:
    """Name each class that has its own `id`, in any file below a family's folder."""
    return {
        node.name
        for path in root.glob("*/*.py")
        if path.parent.name != "sdk"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and any(_is_id(line) for line in node.body)
    }


def _is_id(line: ast.stmt) -> bool:
    return isinstance(line, ast.Assign) and any(isinstance(name, ast.Name) and name.id == "id" for name in line.targets)
