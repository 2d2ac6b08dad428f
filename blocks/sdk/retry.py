"""When a failed attempt is followed by another, and after how long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: Failures that the same attempt would meet again; they are retried only if a policy names them.
HOPELESS: Final = frozenset(
    {
        "AGENT_NOT_ALLOWED",
        "ANSWER_INVALID",
        "APPROVAL_TIMED_OUT",
        "APPROVER_UNKNOWN",
        "BAD_PIN_NAME",
        "BLOCK_DISABLED",
        "CHILD_LIMIT",
        "CREDENTIAL_EXPIRED",
        "CREDENTIAL_HOST_FORBIDDEN",
        "CREDENTIAL_INCOMPLETE",
        "CREDENTIAL_MISSING",
        "CREDENTIAL_NOT_CONNECTED",
        "CREDENTIAL_NOT_FOUND",
        "CREDENTIAL_REFRESH_FAILED",
        "CREDENTIAL_REFUSED",
        "EGRESS_FORBIDDEN",
        "EVENT_TIMED_OUT",
        "EXPRESSION_ERROR",
        "FILE_GONE",
        "FILE_NOT_TEXT",
        "FILE_QUOTA_EXCEEDED",
        "FILE_TOO_LARGE",
        "HTTP_HEADER_FORBIDDEN",
        "INLINE_BLOCK_WAITS",
        "INPUT_INVALID",
        "INPUT_TOO_LARGE",
        "JSON_INVALID",
        "LOOP_LIMIT",
        "MAIL_ADDRESS_INVALID",
        "MAIL_LOGIN_REFUSED",
        "MAIL_NOT_SECURE",
        "MAIL_SERVER_INVALID",
        "MODEL_MISSING",
        "NOT_COMPARABLE",
        "NO_CONTEXT",
        "OUTPUT_INVALID",
        "OUTPUT_TOO_LARGE",
        "PIN_CONFLICT",
        "PRICE_UNKNOWN",
        "PROVIDER_UNKNOWN",
        "RECURSION_LIMIT",
        "REFERENCE_INVALID",
        "REGEX_ERROR",
        "SUB_GRAPH_NOT_ALLOWED",
        "TEMPLATE_ERROR",
        "TOO_MANY_ITEMS",
        "UNKNOWN_BLOCK",
        "URL_FORBIDDEN",
        "USAGE_INVALID",
        "WAIT_CHANGED",
        "WAIT_INVALID",
    }
)
#: Ends that are no failure of an attempt, or that a person must look at first; no policy may name them.
NEVER_RETRIED: Final = frozenset({"BUDGET_EXCEEDED", "CANCELLED", "INTERRUPTED", "NEEDS_DECISION", "POISON", "STARVED"})

MAX_ATTEMPTS: Final = 100
MAX_DELAY_S: Final = 86_400.0
MAX_FACTOR: Final = 100.0

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a firing is tried: delays grow by `factor` up to `max_delay_s`, give or take the share `jitter`.

    Raises:
        ValueError: a part of it is out of bounds.
    """

    #: In all, the first included.
    attempts: int = 3
    #: After the first attempt.
    delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 300.0
    jitter: float = 0.2
    #: The error codes that are retried; none named means all but the hopeless ones.
    on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int):
            raise ValueError("attempts is a whole number")
        _check("attempts", self.attempts, 1, MAX_ATTEMPTS)
        _check("delay_s", self.delay_s, 0, MAX_DELAY_S)
        _check("factor", self.factor, 1, MAX_FACTOR)
        _check("max_delay_s", self.max_delay_s, 0, MAX_DELAY_S)
        _check("jitter", self.jitter, 0, 1)
        if self.delay_s > self.max_delay_s:
            raise ValueError(f"delay_s is {self.delay_s:g}, above max_delay_s, which is {self.max_delay_s:g}")
        if not isinstance(self.on, tuple):
            raise ValueError("on is a tuple of error codes")
        for code in self.on:
            check_code(code)


def check_code(code: str) -> str:
    """Return the code of an error that a policy may name.

    Raises:
        ValueError: it is no code, or one that is never retried.
    """
    if not _CODE.fullmatch(code):
        raise ValueError(f"{code[:64]!r} is no error code")
    if code in NEVER_RETRIED:
        raise ValueError(f"{code} is never retried")
    return code


def _check(name: str, value: float, low: float, high: float) -> None:
    # Written so that NaN is refused too.
    if not low <= value <= high:
        raise ValueError(f"{name} is {value:g}; from {low:g} to {high:g} is allowed")
