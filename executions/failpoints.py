"""Named places in the engine at which a test may kill, delay or fail this process; nothing happens there unless a variable says so."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from agentplatform.env import WrongSetting

VARIABLE = "AGENTPLATFORM_FAILPOINT"
NAMES = frozenset(
    {
        "before_claim",
        "after_claim",
        "before_effect",
        "after_file",
        "after_effect",
        "before_settle",
        "inside_settle",
        "before_finish",
        "after_settle",
        "before_send",
        "after_send",
        "before_reconcile_send",
        "before_fire_commit",
        "before_renew",
        "after_outgoing_send",
    }
)
EXPECTED = "NAME:ACTION[:p=CHANCE][:seed=N][:at=N], several with ';', ACTION being kill9, raise or delay=SECONDS"


class Failed(Exception):
    """What the action `raise` raises."""


@dataclass(slots=True)
class Failpoint:
    """What happens at one place: with a chance of `p`, or only when it is reached for the `at`-th time."""

    name: str
    action: str
    delay_s: float = 0.0
    p: float = 1.0
    at: int | None = None
    chance: Random = field(default_factory=Random)
    reached: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reach(self) -> None:
        """Do it, if it is time.

        Raises:
            Failed: it was told to fail.
        """
        with self._lock:
            self.reached += 1
            is_time = self.reached == self.at if self.at is not None else self.chance.random() < self.p
        if not is_time:
            return
        if self.action == "delay":
            time.sleep(self.delay_s)
        elif self.action == "raise":
            raise Failed(f"The failpoint {self.name} was told to fail.")
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def parse(text: str) -> list[Failpoint]:
    """Return the failpoints that a variable describes.

    Raises:
        WrongSetting: it names no place of ours, or nothing that can be done there.
    """
    return [_parsed(part.strip()) for part in text.split(";") if part.strip()]


def reach(name: str) -> None:
    """Pass one of the places. In an installation nothing is armed, and this costs one look."""
    if _armed:
        for failpoint in _armed.get(name, ()):
            failpoint.reach()


def is_armed() -> bool:
    """Say whether anything may happen at any place of this process."""
    return bool(_armed)


def _parsed(part: str) -> Failpoint:
    name, _, rest = part.partition(":")
    action, *options = rest.split(":")
    action, _, amount = action.partition("=")
    given = dict(option.partition("=")[::2] for option in options)
    if name not in NAMES or action not in {"kill9", "raise", "delay"} or not given.keys() <= {"p", "seed", "at"}:
        raise WrongSetting(VARIABLE, EXPECTED, part)
    try:
        return Failpoint(
            name,
            action,
            delay_s=float(amount) if action == "delay" else 0.0,
            p=float(given.get("p", 1.0)),
            at=int(given["at"]) if "at" in given else None,
            chance=Random(int(given["seed"]) if "seed" in given else None),  # noqa: S311 - to be repeated, not to be secret
        )
    except ValueError as error:
        raise WrongSetting(VARIABLE, EXPECTED, part) from error


def _by_name(failpoints: Iterable[Failpoint]) -> dict[str, list[Failpoint]]:
    found: dict[str, list[Failpoint]] = {}
    for failpoint in failpoints:
        found.setdefault(failpoint.name, []).append(failpoint)
    return found


_armed = _by_name(parse(os.environ.get("AGENTPLATFORM_FAILPOINT", "")))
