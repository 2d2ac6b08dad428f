"""Everything that can go wrong with an execution: one class per failure, with its code and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from agentplatform.lib.errors import AppError
from graphs.errors import Problem


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


class BlockHasEffects(AppError):
    """The block acts on the outside world."""

    code = "BLOCK_HAS_EFFECTS"
    status = 409
    hint = 'Send `"effects": true` if it is to act: this is no rehearsal.'


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


class AlreadyFinished(AppError):
    """The execution has ended, or is about to."""

    code = "EXECUTION_ALREADY_FINISHED"
    status = 409
    hint = "Start a new execution, or retry this one."


class NotEnded(AppError):
    """The execution is still under way."""

    code = "EXECUTION_NOT_ENDED"
    status = 409
    hint = "Wait for its end, or cancel it first."


class NothingToRetry(AppError):
    """Nothing would run: everything stands as it is."""

    code = "NOTHING_TO_RETRY"
    status = 409
    hint = "Retry from a node, give other inputs, or start a new execution."


class RetryInvalid(AppError):
    """It does not say what to run again."""

    code = "RETRY_INVALID"
    status = 422
    hint = "Name a node of the graph, or give inputs, as the mode asks for."


class NestedTooDeep(AppError):
    """Sub-graphs are nested deeper than is allowed."""

    code = "RECURSION_LIMIT"
    status = 409
    hint = "Does a graph start itself? Otherwise raise AGENTPLATFORM_MAX_DEPTH."


class ChildLimitReached(AppError):
    """The execution has started as many sub-graphs as it may."""

    code = "CHILD_LIMIT"
    status = 409
    hint = "Start fewer, give each more to do, or raise AGENTPLATFORM_MAX_CHILD_EXECUTIONS."


class ExecutionFailed(AppError):
    """The execution did not succeed; the code is that of its own error."""

    status = 409

    def __init__(self, message: str, *, code: str, hint: str = "", execution_id: UUID) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.execution_id = execution_id


class AlreadyAnswered(AppError):
    """Somebody has answered this before."""

    code = "WAIT_ALREADY_ANSWERED"
    status = 409
    hint = "Nothing to do: the first answer counts."


class AnswerTooLate(AppError):
    """The time for an answer is over."""

    code = "WAIT_TIMED_OUT"
    status = 409
    hint = "Look at the execution: it goes on as its graph says for this case."


class WaitClosed(AppError):
    """Nobody waits for this any more."""

    code = "WAIT_CLOSED"
    status = 409
    hint = "Nothing to do: the execution has ended, or ends now, without this answer."


class EventInvalid(AppError):
    """This can not be sent as an event."""

    code = "EVENT_INVALID"
    status = 422
    hint = "Give a name of at most 200 characters, and a payload of JSON."


class ExecutionNotFound(AppError):
    """There is no such execution."""

    code = "EXECUTION_NOT_FOUND"
    status = 404
    hint = "Give the id of one of your executions."


class NodeNotFound(AppError):
    """The graph of the execution has no such node."""

    code = "NODE_NOT_FOUND"
    status = 404
    hint = "Give the key of a node of its version."


class WaitsForItself(AppError):
    """The node can not end before the block that waits for it."""

    code = "WAITS_FOR_ITSELF"
    status = 409
    hint = "Wait for nodes that do not come after this one."


class TooManyFirings(AppError):
    """The execution has grown beyond what is allowed."""

    code = "TOO_MANY_FIRINGS"
    status = 409
    hint = "Does a stream give more items than it should? Otherwise give the work in parts, or raise AGENTPLATFORM_MAX_FIRINGS."


class DurationExceeded(AppError):
    """The execution has run for longer than is allowed."""

    code = "DURATION_EXCEEDED"
    status = 409
    hint = "Look at what it was doing; if it needs that long, raise AGENTPLATFORM_MAX_DURATION_S."


class PriceInvalid(AppError):
    """This can not be a price."""

    code = "PRICE_INVALID"
    status = 422
    hint = "Name a model, or the beginning of several with a * behind it, and what a million of its tokens cost."


class BudgetExceeded(AppError):
    """There is not enough credit, or a budget is used up."""

    code = "BUDGET_EXCEEDED"
    status = 402
    hint = "Top up the credit or raise the budget, then retry the execution: what has succeeded is not run again."


class AmountInvalid(AppError):
    """This amount can not be moved."""

    code = "AMOUNT_INVALID"
    status = 422
    hint = "Give a whole number of micro-credits above zero."


class KeyInvalid(AppError):
    """A movement needs a key that says which one it is."""

    code = "LEDGER_KEY_INVALID"
    status = 422
    hint = "Give a key of 1 to 200 characters, and the same one when you ask again."


class KeyTaken(AppError):
    """This key has moved another amount before."""

    code = "LEDGER_KEY_TAKEN"
    status = 409
    hint = "Give each movement a key of its own."


class CreditTooLow(AppError):
    """There is less credit than that."""

    code = "CREDIT_TOO_LOW"
    status = 409
    hint = "Take less, top up first, or allow a greater overdraft."


class BudgetInvalid(AppError):
    """This can not be a budget."""

    code = "BUDGET_INVALID"
    status = 422
    hint = "Name one of your own graphs or executions, or all that is yours."


class SignatureInvalid(AppError):
    """The signature is not good."""

    code = "SIGNATURE_INVALID"
    status = 401
    hint = "Sign the bytes of the body with the secret of this webhook, at the time at which you send them."


class PayloadInvalid(AppError):
    """What was delivered can not be read."""

    code = "PAYLOAD_INVALID"
    status = 400
    hint = "Send JSON, or a form."


class PayloadTooLarge(AppError):
    """The delivery is larger than this installation takes."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413
    hint = "Send less at once; the operator sets the limit with AGENTPLATFORM_MAX_WEBHOOK_BYTES."


class DeliveryIdTaken(AppError):
    """Another delivery came with this id before."""

    code = "DELIVERY_ID_TAKEN"
    status = 409
    hint = "Give each delivery an id of its own, and repeat one only as it was."


class TooManyDeliveries(AppError):
    """More arrives here than can be taken just now."""

    code = "TOO_MANY_DELIVERIES"
    status = 429
    hint = "Send it again after as many seconds as the header Retry-After says."


class DeliveryIgnored(AppError):
    """The webhook does not want this delivery."""

    code = "DELIVERY_IGNORED"
    status = 409
    hint = "Turn the webhook on, or let it take this kind of event."


class WebhookInvalid(AppError):
    """The webhook can not be like this."""

    code = "WEBHOOK_INVALID"
    status = 422
    hint = "Correct the field that `path` names."


class ScheduleInvalid(AppError):
    """The schedule can not be like this."""

    code = "SCHEDULE_INVALID"
    status = 422
    hint = "Correct the field that `path` names."


class OwnerInactive(AppError):
    """Nothing is started for somebody who may not log in."""

    code = "OWNER_INACTIVE"
    status = 409
    hint = "Let the owner log in again; what was refused meanwhile can be sent or fired once more."


class CredentialsMissing(AppError):
    """The graph needs credentials that are not there."""

    code = "CREDENTIAL_MISSING"
    status = 422
    hint = "Add what `errors` lists, or choose others on the nodes."

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        first = self.problems[0]
        more = f" ({len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(f"The node {first.node!r} can not run: {first.message}{more}", path=first.path)

    @property
    def errors(self) -> list[dict[str, str]]:
        """Return what is missing, in the form that doors send."""
        return [problem.as_dict() for problem in self.problems]


class TooManyReaders(AppError):
    """So many follow executions here that no further one is served just now."""

    code = "TOO_MANY_READERS"
    status = 503
    hint = "Come again in a few seconds; the operator sets the limit with AGENTPLATFORM_MAX_EVENT_READERS."


class SubscriptionInvalid(AppError):
    """A subscription can not be like this."""

    code = "SUBSCRIPTION_INVALID"
    status = 422
    hint = "`path` says which part of it is meant."


class SubscriptionDisabled(AppError):
    """This subscription is off: nothing is sent to it."""

    code = "SUBSCRIPTION_DISABLED"
    status = 409
    hint = "Turn it on first."


class NotSent(AppError):
    """The platform could not send it."""

    code = "NOT_SENT"
    status = 500
    hint = "Its log says why. It is tried again."
