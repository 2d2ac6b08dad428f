"""End this process from outside the interpreter if nothing in it can run any more: a call of C may keep the interpreter's lock.

The timer needs no Python to run. It prints where every thread is, then ends the process.
"""

from __future__ import annotations

import faulthandler

from django.conf import settings

GRACE_S = 1.0
STDERR = 2

_is_armed = False


def arm(limit_s: float) -> None:
    """End this process if it is not armed anew, or disarmed, until so long from now and a grace: by then its leases have run out."""
    global _is_armed
    _is_armed = True
    until_s = limit_s + GRACE_S + 2 * settings.AGENTPLATFORM_LEASE_S
    faulthandler.dump_traceback_later(until_s, exit=True, file=STDERR)


def disarm() -> None:
    """Let this process live on whatever happens: nothing of ours runs in it."""
    global _is_armed
    if _is_armed:
        _is_armed = False
        faulthandler.cancel_dump_traceback_later()


def is_armed() -> bool:
    """Say whether it would be ended."""
    return _is_armed
