"""What senders of webhooks send, in short: to try a webhook out before anything happens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing that a sender may say has happened."""

    name: str
    event: str
    payload: Any


def of_scheme(scheme: str) -> tuple[Sample, ...]:
    """Return what senders of this scheme send."""
    return _read()[scheme]


def find(scheme: str, name: str) -> Sample | None:
    """Return the sample of that name, if there is one."""
    return next((sample for sample in of_scheme(scheme) if sample.name == name), None)


@cache
def _read() -> dict[str, tuple[Sample, ...]]:
    return {
        path.stem: tuple(Sample(**one) for one in json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.json"))
    }
