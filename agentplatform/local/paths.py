"""Where the local machine keeps its things: everything below `.local/`, so that deleting it starts afresh."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCAL = ROOT / ".local"
