"""What an operator can do with executions: with those chosen in the list, and with one on its page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from agentplatform.lib.errors import AppError
from executions import services
from executions.admin.shown import WindowAdmin
from executions.engine.status import Status
from executions.models import Execution
from executions.retrying import Ask


@dataclass(frozen=True, slots=True)
class Lever:
    """One thing that can be done with one execution that goes on."""

    name: str
    title: str
    icon: str
    act: Callable[[Execution], Execution]
    done: str
    #: What is asked before, where it can not be undone.
    question: str = ""


LEVERS = {
    lever.name: lever
    for lever in (
        Lever("resume", "Resume", "play_arrow", services.resume, "It goes on."),
        Lever("pause", "Pause", "pause", services.pause, "Paused: nothing more of it begins until it is resumed."),
        Lever(
            "cancel",
            "Cancel",
            "stop",
            services.cancel,
            "Cancelled, with all that it has started.",
            "Cancel this execution, and all that it has started?",
        ),
    )
}


def offered(execution: Execution) -> list[Lever]:
    """Return what can be done with an execution as it stands."""
    if execution.is_final or execution.status == Status.CANCELLING:
        return []
    return [LEVERS["resume" if execution.is_paused else "pause"], LEVERS["cancel"]]


class Levers(WindowAdmin):
    """The actions of the list, and the buttons of the page: each is one call for each execution, and says what became of it."""

    actions = ("cancel", "pause", "resume", "retry_failed")

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses that the buttons send to."""
        view = self.admin_site.admin_view(self.lever_view)
        return [path("<uuid:object_id>/do/<str:name>/", view, name="executions_execution_do"), *super().get_urls()]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether somebody may do more than look."""
        return request.user.has_perm("executions.change_execution")

    def operated(self, request: HttpRequest, object_id: Any) -> Execution:
        """Return the execution that somebody wants to do something with.

        Raises:
            PermissionDenied: they may only look.
            Http404: there is none.
        """
        if not (self.has_operate_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        execution = self.get_object(request, str(object_id))
        if not isinstance(execution, Execution):
            raise Http404
        return execution

    @method_decorator(require_POST)
    def lever_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """Do one thing with one execution, and show it again."""
        execution = self.operated(request, object_id)
        lever = LEVERS.get(name)
        if lever is None:
            raise Http404
        if execution.is_final:
            messages.warning(request, f"It has ended before: it is {execution.status}.")
        else:
            try:
                lever.act(execution)
            except AppError as error:
                messages.warning(request, f"{error.message} {error.hint}".strip())
            else:
                self.log_change(request, execution, f"{lever.title}.")
                messages.success(request, lever.done)
        return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[execution.pk]))

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
