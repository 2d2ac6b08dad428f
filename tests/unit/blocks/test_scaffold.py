"""A block made by bin/new-block works before anybody has touched it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from blocks.scaffold import Refused, make_block

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the program touches."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("blocks", "integrations", "agentplatform/lib"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "agentplatform" / "__init__.py").touch()
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "blocks.md", tmp_path / "docs")
    return tmp_path


@pytest.mark.parametrize(("family", "name"), [("text", "count-words"), ("new-things", "turn_text_round")])
def test_makes_a_block_that_runs_and_keeps_the_style(family: str, name: str, tree: Path) -> None:
    make_block(tree, family, name)

    block_id = f"{name.replace('_', '-')}-block"
    program = (
        "import asyncio; from blocks import BLOCKS, registry; from blocks.sdk.testing import run_block;"
        f"print(BLOCKS[-1].id, asyncio.run(run_block(registry.get({block_id!r}), {{'input': 'a'}})))"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tree, capture_output=True, text=True, check=False)
    style = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--config", str(ROOT / "pyproject.toml"), "blocks"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == f"{block_id} [('output', 'a')]\n", ran.stderr
    assert style.returncode == 0, style.stdout
    assert f"| `{block_id}` |" in (tree / "docs" / "blocks.md").read_text()


@pytest.mark.parametrize(
    ("family", "name"),
    [("text", "split-text"), ("text", "count"), ("../text", "count-words"), ("text", "Count-Words"), ("text", "a-/b")],
)
def test_refuses_what_can_not_be_and_changes_nothing(family: str, name: str, tree: Path) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*.*") if path.is_file()}

    with pytest.raises(Refused):
        make_block(tree, family, name)

    assert {path: path.read_bytes() for path in tree.rglob("*.*") if path.is_file()} == before
