"""What an operator can do with the executions of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from agentplatform.lib.errors import AppError
from executions import services
from executions.models import Execution
from executions.retrying import Ask


class Levers:
    """The actions of the list: each is one call for each execution, and says what became of it."""

    actions = ("cancel", "pause", "resume", "retry_failed")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether somebody may do more than look."""
        return request.user.has_perm("executions.change_execution")

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, executions: Iterable[Execution]) -> None:
        """Stop them, and all that they have started."""
        _each(request, executions, services.cancel, done="Stopping")

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, executions: Iterable[Execution]) -> None:
        """Begin nothing more of them."""
        _each(request, executions, services.pause, done="Paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, executions: Iterable[Execution]) -> None:
        """Go on with what was paused."""
        _each(request, executions, services.resume, done="Going on with")

    @admin.action(description="Retry from the failed nodes", permissions=["operate"])
    def retry_failed(self, request: HttpRequest, executions: Iterable[Execution]) -> None:
        """Go on from those that have ended, as their owners."""

        def retry(execution: Execution) -> Execution:
            return services.retry(execution, Ask(), owner_id=execution.owner_id)

        _each(request, executions, retry, done="Started")


def _each(request: HttpRequest, executions: Iterable[Execution], act: Callable[[Execution], Any], *, done: str) -> None:
    """Do it for each, and tell in one line how many there were, and for each that could not be why."""
    told: list[Execution] = []
    for execution in executions:
        try:
            told.append(act(execution))
        except AppError as error:
            messages.warning(request, f"{execution}: {error.message} {error.hint}".strip())
    if told:
        messages.success(request, f"{done} {len(told):,} {'execution' if len(told) == 1 else 'executions'}.")
