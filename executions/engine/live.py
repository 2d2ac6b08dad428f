"""What is told of an execution while somebody watches it: the kinds of live events, as data."""

from __future__ import annotations

from enum import StrEnum

from executions.engine.status import FINAL, NODE_FINAL


class LiveKind(StrEnum):
    """What a live event says."""

    #: Accepted and kept.
    EXECUTION_QUEUED = "execution.queued"
    #: It runs: for the first time, or again after it has waited as a whole.
    EXECUTION_RUNNING = "execution.running"
    #: Nothing of it can go on by itself.
    EXECUTION_WAITING = "execution.waiting"
    EXECUTION_PAUSED = "execution.paused"
    EXECUTION_RESUMED = "execution.resumed"
    EXECUTION_CANCELLING = "execution.cancelling"
    EXECUTION_SUCCEEDED = "execution.succeeded"
    EXECUTION_FAILED = "execution.failed"
    EXECUTION_CANCELLED = "execution.cancelled"
    EXECUTION_BUDGET_EXCEEDED = "execution.budget_exceeded"
    #: An attempt has begun.
    NODE_STARTED = "node.started"
    #: An attempt has failed, and another follows.
    NODE_RETRYING = "node.retrying"
    #: It is suspended until something comes.
    NODE_WAITING = "node.waiting"
    #: What it was suspended for has come, or will not.
    NODE_WOKEN = "node.woken"
    NODE_SUCCEEDED = "node.succeeded"
    NODE_FAILED = "node.failed"
    NODE_SKIPPED = "node.skipped"
    NODE_INCOMPLETE = "node.incomplete"
    NODE_CANCELLED = "node.cancelled"


#: With one of these an execution has ended, and its live events with it.
LAST_KINDS = frozenset(LiveKind(f"execution.{status.lower()}") for status in FINAL)
#: With one of these a firing has ended.
NODE_ENDS = frozenset(LiveKind(f"node.{status.lower()}") for status in NODE_FINAL)
#: What a model makes while it makes it: without a number, stored nowhere.
TOKENS = "tokens"
