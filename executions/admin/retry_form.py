"""The form in which an operator says how an ended execution is to be gone on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Count
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget

from agentplatform.lib.errors import AppError
from executions.admin.answer_form import json_field
from executions.admin.shown import LONGEST_SHOWN
from executions.engine.plan import Plan
from executions.engine.reuse import same_json
from executions.engine.status import NodeStatus
from executions.inputs import declared_inputs
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from executions.retrying import Ask, Mode, Version
from graphs import services as graph_services
from graphs.models import GraphVersion, Node

#: Fields of the console itself have none, so that no name of an input can be taken for one.
PREFIX = "input-"
MOST_ROWS = 12

MODES = {
    Mode.FAILED: "From the failed nodes",
    Mode.FROM_NODE: "From one node on",
    Mode.INPUTS: "With other inputs",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be chosen: the version that ran, and the newest where that is another one."""

    execution: Execution
    versions: Mapping[Version, GraphVersion]
    plans: Mapping[Version, Plan]
    #: By key, in the order in which they run.
    titles: Mapping[str, str]
    #: How many firings of each node failed.
    failed: Mapping[str, int]

    @property
    def inputs(self) -> dict[str, bool]:
        """Return the inputs of all versions that can be chosen, and whether each has a default."""
        return {name: has for plan in self.plans.values() for name, has in declared_inputs(plan).items()}


def offer_of(execution: Execution) -> Offer:
    """Return what can be chosen for an ended execution.

    Raises:
        UnknownBlock: its version uses a block that is not installed here.
        ValueError: a later release published it.
    """
    versions = {Version.SAME: execution.version}
    newest = graph_services.latest_version(execution.graph)
    if newest.pk != execution.version_id:
        versions[Version.NEWEST] = newest
    plans = {which: plan_of(version.pk) for which, version in versions.items()}
    named = Node.objects.filter(version_id__in=[version.pk for version in versions.values()])
    titles = dict(named.order_by("version_id").values_list("key", "title"))
    failed = NodeExecution.objects.filter(execution_id=execution.pk, status=NodeStatus.FAILED)
    return Offer(
        execution,
        versions,
        plans,
        {node.key: titles.get(node.key) or node.key for plan in plans.values() for node in plan.nodes},
        dict(failed.order_by().values_list("node_key").annotate(count=Count("pk"))),
    )


class RetryForm(forms.Form):
    """What to run again, with what, and of which version."""

    mode = forms.ChoiceField(
        choices=[(mode.value, text) for mode, text in MODES.items()],
        widget=UnfoldAdminRadioSelectWidget(),
        label="Run again",
    )
    node = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget(), help_text="It runs again, and all that can hear of it."
    )
    version = forms.ChoiceField(widget=UnfoldAdminSelectWidget())

    def __init__(self, offer: Offer, data: Mapping[str, Any]) -> None:
        super().__init__({**defaults(offer), **data})
        self.offer = offer
        self.fields["node"].choices = [("", "–"), *((key, _node(offer, key)) for key in offer.titles)]  # type: ignore[attr-defined]
        self.fields["version"].choices = [  # type: ignore[attr-defined]
            (which.value, f"{'The same' if which is Version.SAME else 'The newest'}: version {version.number}")
            for which, version in offer.versions.items()
        ]
        #: Too long to be edited here: they stay as they are.
        self.kept = [name for name in offer.inputs if len(_text(offer, name)) > LONGEST_SHOWN]
        for name, has_default in offer.inputs.items():
            if name not in self.kept:
                field = self.fields[PREFIX + name] = json_field(label=name, required=False)
                field.help_text = "Leave it empty for its default." if has_default else ""
                field.widget.attrs["rows"] = min(MOST_ROWS, _text(offer, name).count("\n") + 2)

    @property
    def input_fields(self) -> list[Any]:
        """Return the fields of the inputs, as they are drawn."""
        return [self[name] for name in self.fields if name.startswith(PREFIX)]

    @property
    def asked_again(self) -> list[tuple[str, str]]:
        """Return what was asked, for a form that asks the same once more."""
        return [(name, self.data.get(name, "")) for name in self.fields]

    def ask(self) -> Ask:
        """Return what is asked for. Only after the form was found valid."""
        mode = Mode(self.cleaned_data["mode"])
        version = Version(self.cleaned_data["version"])
        inputs = self._inputs(version)
        is_other = not same_json(inputs, self.offer.execution.inputs)
        return Ask(
            mode=mode,
            node=self.cleaned_data["node"] or None if mode is Mode.FROM_NODE else None,
            inputs=inputs if is_other or mode is Mode.INPUTS else None,
            version=version,
        )

    def clean(self) -> dict[str, Any]:
        """Refuse to start from a node that nobody chose."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("mode") == Mode.FROM_NODE and not cleaned.get("node") and "node" not in self.errors:
            self.add_error("node", "Choose the node from which it runs again.")
        return cleaned

    def blame(self, error: AppError) -> None:
        """Show what is wrong, at its field if it has one."""
        name = PREFIX + error.path.removeprefix("inputs.") if error.path.startswith("inputs.") else error.path
        self.add_error(name if name in self.fields else None, f"{error.message} {error.hint}".strip())

    def _inputs(self, version: Version) -> dict[str, Any]:
        kept = {name: self.offer.execution.inputs[name] for name in self.kept}
        given = {name: self.cleaned_data[PREFIX + name] for name in self.offer.inputs if self._is_given(name)}
        return {
            name: (kept | given)[name] for name in declared_inputs(self.offer.plans[version]) if name in kept | given
        }

    def _is_given(self, name: str) -> bool:
        # JSON has a null, which is something else than nothing.
        return PREFIX + name in self.fields and bool(str(self.data.get(PREFIX + name, "")).strip())


def defaults(offer: Offer) -> dict[str, str]:
    """Return what the form says before anybody has touched it: the inputs as they were."""
    shown = {PREFIX + name: _text(offer, name) for name in offer.inputs}
    return {"mode": Mode.FAILED.value, "node": "", "version": Version.SAME.value, **shown}


def _text(offer: Offer, name: str) -> str:
    given = offer.execution.inputs
    return json.dumps(given[name], indent=2, ensure_ascii=False) if name in given else ""


def _node(offer: Offer, key: str) -> str:
    title = offer.titles[key]
    named = title if title == key else f"{title} ({key})"
    return f"{named}, {offer.failed[key]:,} failed" if offer.failed.get(key) else named
