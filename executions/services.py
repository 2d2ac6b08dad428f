"""What the doors may ask of executions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from agentplatform.lib.ids import uuid7
from executions import admission, affording, budgets, file_uses, keys, outbox
from executions.engine.money import BudgetScope
from executions.errors import VersionNotPublished, WaitTimedOut
from executions.estimates import estimate
from executions.inputs import checked_inputs
from executions.models import Execution
from executions.plans import plan_of
from executions.retrying import preview as preview_retry
from executions.retrying import retry
from executions.stopping import cancel, pause, resume, stop
from graphs.models import GraphVersion
from integrations.masks import mask_for

__all__ = ["cancel", "estimate", "pause", "preview_retry", "resume", "retry", "start", "stop", "wait"]

SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.002, 0.25


def start(
    *,
    version_id: UUID,
    owner_id: int,
    inputs: Mapping[str, Any] | None = None,
    priority: int = 0,
    budget_microcredits: int | None = None,
    api_key: str = "",
    execution_id: UUID | None = None,
    is_alone: bool = False,
) -> Execution:
    """Record a new execution, and launch it once the row is committed and it is its turn: also if that is the caller's transaction.

    It may cost at most its budget, with all that it starts; `api_key` is the fingerprint of the key that asks, whose budgets count too;
    `execution_id` is the new id, if the caller has written it down already. It `is_alone` if the caller's transaction starts
    nothing else and ends at once.

    Raises:
        AmountInvalid: the budget is no amount.
        VersionNotPublished: the version does not exist or is a draft.
        CredentialsMissing: a node needs a credential that is not there.
        InputsInvalid: an input is missing, unknown or can not be stored.
        FileNotFound: an input refers to a file that is not the owner's.
        BudgetExceeded: there is surely not enough credit or budget for it.
        OwnerInactive: the owner may not log in.
    """
    with outbox.accepting():
        graph_id = _graph_of(version_id)
        plan = plan_of(version_id)
        keys.refuse_missing(plan, owner_id)
        execution = Execution(
            id=execution_id or uuid7(),
            graph_id=graph_id,
            version_id=version_id,
            owner_id=owner_id,
            inputs=mask_for(owner_id).value(checked_inputs(inputs or {}, plan, owner_id=owner_id)),
            plan_mark=plan.mark,
            priority=priority,
            api_key=api_key,
        )
        affording.refuse_unpayable(execution, budget_microcredits=budget_microcredits)
        if budget_microcredits is not None:
            # Before the execution, which may be sent as soon as it is written.
            budgets.limit(BudgetScope.EXECUTION, execution.pk, budget_microcredits, owner_id=owner_id)
        with file_uses.noted(execution):
            admission.enter(execution, is_alone=is_alone)
        return execution


@lru_cache(maxsize=512)
def _graph_of(version_id: UUID) -> UUID:
    """Return the graph of a published version; that never changes."""
    version = GraphVersion.objects.filter(pk=version_id, published_at__isnull=False).only("graph_id").first()
    if version is None:
        raise VersionNotPublished
    return version.graph_id


def wait(execution_id: UUID, *, timeout_s: float) -> Execution:
    """Return the execution once it has ended.

    Raises:
        WaitTimedOut: it has not ended in time; it goes on.
    """
    deadline = time.monotonic() + timeout_s
    pause = SHORTEST_LOOK_S
    while True:
        execution = Execution.objects.get(pk=execution_id)
        if execution.is_final:
            return execution
        if time.monotonic() > deadline:
            raise WaitTimedOut(f"Execution {execution_id} is {execution.status} after {timeout_s:g} s.")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_LOOK_S)
