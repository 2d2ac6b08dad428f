"""What can go wrong, told apart by what one can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AgentplatformError(Exception):
    """Anything that this package raises by itself."""


class UsageError(AgentplatformError):
    """It was asked for something that can not be."""


class Unreachable(AgentplatformError):
    """No answer came, or none from an agentplatform; or the server is in trouble."""


class TimedOut(AgentplatformError):
    """The execution has not ended in time. It goes on."""


class ApiError(AgentplatformError):
    """The platform said no: by `code`, which stays the same from release to release."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", "ERROR"))
        self.message = str(problem.get("message") or problem.get("title") or f"The platform answered {status}.")
        self.hint = str(problem.get("hint", ""))
        #: What is wrong field by field, where several things are.
        self.errors: list[dict[str, Any]] = list(problem.get("errors") or ())
        self.problem = dict(problem)
        super().__init__(f"{self.message} ({self.code})")


class NotFound(ApiError):
    """There is no such thing, or it belongs to somebody else."""


class Refused(ApiError):
    """The key is not known, has expired, or may not do this."""


class EditedMeanwhile(ApiError):
    """It is no longer as it was when it was read: read it again, and change what it says now."""


def error_of(status: int, problem: Mapping[str, Any]) -> AgentplatformError:
    """Return the error that an answer stands for."""
    if status in (401, 403):
        return Refused(status, problem)
    if status == 404:
        return NotFound(status, problem)
    if status == 412:
        return EditedMeanwhile(status, problem)
    if status >= 500:
        failed = Unreachable(f"The platform answered {status}: {problem.get('message', 'no reason given')}")
        failed.__cause__ = ApiError(status, problem)
        return failed
    return ApiError(status, problem)
