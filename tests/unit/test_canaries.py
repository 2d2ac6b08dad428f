"""That the sweep of the suite finds nothing means something only if it finds what is there."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from tests.canaries import AT_ONCE, CANARY, files_with_one

SECRET = f"{CANARY}-0123456789"


@pytest.mark.parametrize(
    "hidden",
    [
        SECRET.encode(),
        SECRET[::-1].encode(),
        SECRET.encode().hex().encode(),
        *[b64encode(b"x" * before + SECRET.encode()) for before in range(5)],
    ],
)
@pytest.mark.parametrize("before", [0, AT_ONCE - 5])
def test_finds_each_form_wherever_it_is(tmp_path: Path, hidden: bytes, before: int):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "log").write_bytes(b"." * before + hidden + b".")
    (tmp_path / "clean").write_text("sk-PLANTED-0123456789")

    (found,) = files_with_one(tmp_path)

    assert found.startswith("below/log: ")
