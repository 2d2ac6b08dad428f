"""The page on which an ended execution is gone on from: it shows what that would do before it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from agentplatform.lib.errors import AppError
from agentplatform.lib.money import show
from blocks.sdk import Effects
from executions import services
from executions.admin.levers import Levers
from executions.admin.retry_form import Offer, RetryForm, offer_of
from executions.admin.shown import LABELS
from executions.engine.status import Status
from executions.errors import NothingToRetry
from executions.models import Execution
from executions.retrying import Mode, Preview, Version

#: What running again does to the world outside, and the colour of it.
EFFECTS = {Effects.IDEMPOTENT: ("idempotent", "warning"), Effects.AT_MOST_ONCE: ("at most once", "danger")}


@dataclass(frozen=True, slots=True)
class ShownNode:
    """What a retry would do with one node."""

    key: str
    title: str
    reused: int
    runs: str
    effects: str
    label: str
    cost: str


class RetryPage(Levers):
    """Says how to go on from an execution, shows what that would do, and does it with one button."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        view = self.admin_site.admin_view(self.retry_view)
        return [path("<uuid:object_id>/retry/", view, name="executions_execution_retry"), *super().get_urls()]

    def retry_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Show the form with what it would do; start, if that is what was asked for and nothing has changed since."""
        execution = self.operated(request, object_id)
        if not execution.is_final:
            return _back(request, execution, "It has not ended yet. Wait for its end, or cancel it first.")
        try:
            offer = offer_of(execution)
        except AppError as error:
            return _back(request, execution, f"{error.message} {error.hint}".strip())
        except ValueError as error:
            return _back(request, execution, f"Its version can not be planned here: {error}")
        form, preview = _looked_at(offer, request)
        if preview and request.POST.get("seen"):
            if request.POST["seen"] == _mark(offer, preview):
                return self._start(request, execution, form)
            form.add_error(None, "Something has changed since you looked: see below what it would do now.")
        return self._page(request, offer, form, preview)

    def _start(self, request: HttpRequest, execution: Execution, form: RetryForm) -> HttpResponse:
        try:
            new = services.retry(execution, form.ask(), owner_id=execution.owner_id)
        except AppError as error:
            return _back(request, execution, f"{error.message} {error.hint}".strip())
        self.log_change(request, execution, f"Retried as {new.pk}.")
        messages.success(request, "This is the new execution. What stood of the one before is not run again.")
        return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[new.pk]))

    def _page(self, request: HttpRequest, offer: Offer, form: RetryForm, preview: Preview | None) -> HttpResponse:
        execution = offer.execution
        context = {
            **self.admin_site.each_context(request),
            "title": f"Retry {execution.version}",
            "opts": self.opts,
            "original": execution,
            "execution": execution,
            "label": LABELS[execution.status],
            "form": form,
            "preview": _shown(offer, preview, form) if preview else None,
            "seen": _mark(offer, preview) if preview else "",
            "retries": _retries(execution),
        }
        return TemplateResponse(request, "admin/executions/execution/retry.html", context)


def _looked_at(offer: Offer, request: HttpRequest) -> tuple[RetryForm, Preview | None]:
    """Return the form as it was filled in, or as is most likely wanted, with what it would do if it is right."""
    if request.method == "POST":
        return _previewed(RetryForm(offer, request.POST.dict()))
    chosen = {name: request.GET[name] for name in ("mode", "node", "version") if name in request.GET}
    if chosen or offer.execution.status != Status.SUCCEEDED:
        return _previewed(RetryForm(offer, chosen))
    form, preview = _previewed(RetryForm(offer, {}))
    # Where nothing failed, one node is what is left to choose.
    first = next(iter(offer.titles), "")
    return (form, preview) if preview else _previewed(RetryForm(offer, {"mode": Mode.FROM_NODE.value, "node": first}))


def _previewed(form: RetryForm) -> tuple[RetryForm, Preview | None]:
    if not form.is_valid():
        return form, None
    try:
        return form, services.preview_retry(form.offer.execution, form.ask())
    except NothingToRetry:
        form.add_error(None, "Nothing would run: with this choice, everything stands as it is.")
    except AppError as error:
        form.blame(error)
    return form, None


def _mark(offer: Offer, preview: Preview) -> str:
    """Return what must still be so when the button is pressed: which version runs, and how often somebody has gone on already."""
    return f"{preview.version_id}:{_retries(offer.execution)}"


def _retries(execution: Execution) -> int:
    return Execution.objects.filter(retried_from_id=execution.pk).count()


def _shown(offer: Offer, preview: Preview, form: RetryForm) -> dict[str, Any]:
    ask = form.ask()
    runs = {node.key: node for node in preview.runs}
    nodes = [
        _row(offer, node.key, preview.reused.get(node.key, 0), runs.get(node.key))
        for node in offer.plans[ask.version].nodes
    ]
    return {
        "nodes": [node for node in nodes if node.reused or node.runs],
        "reused_nodes": sum(1 for key in preview.reused if key not in runs),
        "reused": sum(preview.reused.values()),
        "run_nodes": len(runs),
        "runs": sum(node.firings for node in preview.runs),
        "cost": show(preview.estimated_microcredits),
        "acting": [offer.titles[key] for key in preview.effects],
        "version": offer.versions[ask.version].number,
        "is_newest": ask.version is Version.NEWEST,
        "has_other_inputs": ask.inputs is not None,
    }


def _row(offer: Offer, key: str, reused: int, run: Any) -> ShownNode:
    effects, label = EFFECTS.get(run.effects, ("", "")) if run else ("", "")
    return ShownNode(
        key=key,
        title=offer.titles[key],
        reused=reused,
        runs=f"{run.firings:,}" if run and run.firings else "as it comes" if run else "",
        effects=effects,
        label=label,
        cost=show(run.estimated_microcredits) if run and run.estimated_microcredits else "",
    )


def _back(request: HttpRequest, execution: Execution, why: str) -> HttpResponse:
    messages.warning(request, why)
    return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[execution.pk]))
