"""The recipe for a new block as a program: writes its file, lists it, and adds its line to the docs."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).parents[1]
LIST = "blocks/__init__.py"
PAGE = "docs/blocks.md"

FILE = Template('''"""TODO: say in one line why this block exists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example


class ${name}Input(BlockSchema):
    input: str = Field(description="TODO: what comes in.")


class ${name}Output(BlockSchema):
    output: str = Field(description="TODO: what goes out.")


class ${name}Block(Block):
    """TODO: say what it does."""

    id = "${id}"
    name = "${title}"
    description = "TODO: what its user reads in the palette."
    input_schema, output_schema = ${name}Input, ${name}Output
    examples = (Example(given={"input": "a"}, gives=[("output", "a")]),)

    async def execute(self, input_data: ${name}Input) -> AsyncIterator[tuple[str, Any]]:
        yield "output", input_data.input
''')


class Refused(Exception):
    """The block can not be made like this."""


def make_block(root: Path, family: str, name: str) -> Path:
    """Write a new block of `family` below `root`, list it and describe it; return its file.

    Raises:
        Refused: a name is not right, or there is such a block.
    """
    for word in (family, name):
        if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", word):
            raise Refused(f"{word!r} is not a name: small letters, digits and dashes, like count-words.")
    words = re.split("[-_]", name)
    family = family.replace("-", "_")
    file = root / "blocks" / family / f"{'_'.join(words)}.py"
    block_id = f"{'-'.join(words)}-block"
    if len(words) < 2:
        raise Refused(f"{name!r} is one word: say what the block does to what, like count-words.")
    if file.exists() or f'"{block_id}"' in "".join(
        path.read_text(encoding="utf-8") for path in root.glob("blocks/*/*.py")
    ):
        raise Refused(f"There is a block {block_id!r} already.")
    class_name = "".join(word.capitalize() for word in words)
    title = " ".join(words).capitalize()
    _enlist(root / LIST, f"from blocks.{family}.{file.stem} import {class_name}Block\n", f"    {class_name}Block,\n")
    _describe(root / PAGE, f"| `{block_id}` | {title} | TODO | `input` | `output` |\n")
    file.parent.mkdir(exist_ok=True)
    package = file.parent / "__init__.py"
    if not package.exists():
        package.write_text('"""TODO: say what the blocks of this family have in common."""\n', encoding="utf-8")
    file.write_text(FILE.substitute(name=class_name, id=block_id, title=title), encoding="utf-8")
    return file


def _enlist(file: Path, import_line: str, entry: str) -> None:
    text = file.read_text(encoding="utf-8")
    before, first, rest = text.partition("from blocks.")
    imports, opening, listed = (first + rest).partition("\n\nBLOCKS")
    lines = sorted([*imports.splitlines(keepends=True), import_line], key=lambda line: line.split()[1])
    body = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines).rstrip("\n")
    file.write_text(
        before + body + "\n" + opening[1:] + listed.rstrip().removesuffix("]") + entry + "]\n", encoding="utf-8"
    )


def _describe(page: Path, row: str) -> None:
    text = page.read_text(encoding="utf-8")
    end = text.index("\n\nEvery node also has")
    page.write_text(text[: end + 1] + row + text[end + 1 :], encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Make the block that the command line names, and say what is left to do."""
    parser = argparse.ArgumentParser(prog="bin/new-block", description="Write a new block, list it and describe it.")
    parser.add_argument("family", help="the folder below blocks/, like text; a new one is made")
    parser.add_argument("name", help="what it does to what, like count-words")
    asked = parser.parse_args(arguments)
    try:
        file = make_block(ROOT, asked.family, asked.name)
    except Refused as refused:
        sys.stderr.write(f"bin/new-block: {refused}\n")
        return 2
    sys.stdout.write(
        f"Wrote {file.relative_to(ROOT)} and a line each in {LIST} and {PAGE}.\n"
        "Left to do: fill in every TODO, give it real examples, then: bin/test tests/unit/blocks\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
