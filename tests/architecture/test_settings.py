"""Each variable we read is documented, and each one documented is read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentplatform.local.paths import ROOT

FOLDERS = ["agentplatform", "blocks", "executions", "files", "graphs", "integrations"]
READ_IN_PYTHON = re.compile(r"""(?:env_\w+\(|environ\.get\(|environ\[|getenv\()\s*["']([A-Z][A-Z0-9_]+)["']""")
READ_IN_BASH = re.compile(r"\$\{(AGENTPLATFORM_[A-Z0-9_]+)")
DOCUMENTED = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|", flags=re.MULTILINE)
OF_DJANGO = {"DJANGO_SETTINGS_MODULE"}


def read_by_us() -> set[str]:
    return {
        name for text in sources() for pattern in (READ_IN_PYTHON, READ_IN_BASH) for name in pattern.findall(text)
    } - OF_DJANGO


def sources() -> Iterator[str]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            yield path.read_text()
    for path in (ROOT / "bin").iterdir():
        yield path.read_text()


def test_every_variable_is_documented():
    documented = set(DOCUMENTED.findall((ROOT / "docs" / "settings.md").read_text()))

    assert read_by_us() - documented == set(), "Add a line to docs/settings.md"


def test_every_documented_variable_is_read():
    documented = set(DOCUMENTED.findall((ROOT / "docs" / "settings.md").read_text()))

    assert documented - read_by_us() == set(), (
        "Remove the line from docs/settings.md, or the typing error from the code"
    )


def test_documented_defaults_are_the_real_ones():
    text = (ROOT / "docs" / "settings.md").read_text()
    source = (ROOT / "agentplatform" / "settings.py").read_text()
    defaults = dict(re.findall(r'env_(?:int|float)\("(\w+)", ([\d._]+)', source))

    for name, default in defaults.items():
        assert f"| `{name}` | `{default.replace('_', '')}` |" in text
