"""Everything that can go wrong with an execution: one class per failure, with its code and the way out."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class InputsInvalid(AppError):
    """The execution's inputs do not fit the graph."""

    code = "EXECUTION_INPUTS_INVALID"
    status = 422
    hint = "Give each input the graph declares, and no other."


class VersionNotPublished(AppError):
    """Only a published version can be executed."""

    code = "VERSION_NOT_PUBLISHED"
    status = 409
    hint = "Publish the draft first."


class LeaseLost(AppError):
    """Another worker has taken over these node executions."""

    code = "LEASE_LOST"
    status = 409
    hint = "Nothing to do: the other worker settles them."


class NotRunning(AppError):
    """The execution is not running, so nothing more is written."""

    code = "EXECUTION_NOT_RUNNING"
    status = 409
    hint = "Nothing to do: its outcome stands."


class WaitTimedOut(AppError):
    """The execution did not end within the time given."""

    code = "EXECUTION_WAIT_TIMED_OUT"
    status = 504
    hint = "It goes on; look at its status again later."


class NeedsDecision(AppError):
    """Its worker was lost, and it must not be repeated by itself."""

    code = "NEEDS_DECISION"
    status = 409
    hint = "Look whether its effect happened, then decide: run it again, take its output, or let it fail."


class AnswerInvalid(AppError):
    """The answer does not fit what was asked."""

    code = "ANSWER_INVALID"
    status = 422
    hint = "Give what the form asks for."
