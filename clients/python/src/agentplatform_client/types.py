"""What the platform's answers hold. Written by `bin/client-types` from its OpenAPI schema: not by hand."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AskFile(TypedDict):
    """A file to be kept. Its name and its type are those that the form gives."""

    file: str
    expires_at: NotRequired[str]


class Balance(TypedDict):
    """What you have."""

    credit: Cost
    held: Cost
    overdraft: dict[str, Any] | None
    available: dict[str, Any] | None


class Block(TypedDict):
    """A block that is installed here."""

    id: str
    name: str
    description: str
    placement: str
    effects: str
    is_disabled: bool
    credentials_required: list[str]
    cost: BlockCost | None
    streams: list[str]
    gathers: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


class BlockCost(TypedDict):
    """What a use of a block costs."""

    type: str
    per_unit: float
    provider: str


class Budget(TypedDict):
    """A limit to what something of yours may cost."""

    id: int
    scope: ScopeEnum
    scope_id: NotRequired[str]
    period: NotRequired[PeriodEnum]
    limit_microcredits: int
    limit: Cost
    spent: Cost
    held: Cost
    remaining: Cost
    created_at: str


class Bulk(TypedDict):
    """How to go about it."""

    preview: NotRequired[bool]
    limit: NotRequired[int]


class BulkDone(TypedDict):
    """What came of all of them."""

    matching: int
    done: int
    failed: int
    is_preview: bool
    results: list[Done]


CatchUp: TypeAlias = 'Literal["skip", "once", "all"]'


class Cost(TypedDict):
    """An amount of money, for programs and for people."""

    microcredits: int
    text: str


class Credential(TypedDict):
    """A credential, without its secret."""

    id: str
    name: str
    provider: str
    kind: CredentialKind
    hint: str
    last4: str
    fingerprint: str
    base_url: str
    allowed_hosts: list[str]
    group: str
    max_concurrent: int | None
    rate_per_second: float | None
    is_own: bool
    expires_at: str | None
    is_expired: bool
    is_expiring: bool
    is_revoked: bool
    last_used_at: str | None
    created_at: str
    changed_at: str


CredentialKind: TypeAlias = 'Literal["api_key", "user_password", "oauth2", "host_headers"]'


class Delivery(TypedDict):
    """What came to a webhook, and what became of it."""

    id: str
    webhook: str
    name: str
    event: str
    status: DeliveryStatus
    reason: str
    message: str
    execution: str | None
    replay_of: str | None
    size_bytes: int
    received_at: str


class DeliveryDetail(TypedDict):
    """The same with what it brought."""

    id: str
    webhook: str
    name: str
    event: str
    status: DeliveryStatus
    reason: str
    message: str
    execution: str | None
    replay_of: str | None
    size_bytes: int
    received_at: str
    payload: Any
    headers: dict[str, str]


DeliveryStatus: TypeAlias = 'Literal["ACCEPTED", "ANSWERED", "IGNORED", "REFUSED"]'


class Done(TypedDict):
    """What came of one."""

    execution: str
    status: NotRequired[ExecutionStatus | NullEnum]
    started: str | None
    error: NodeError | None


EffectsEnum: TypeAlias = 'Literal["none", "idempotent", "at_most_once"]'


class Entry(TypedDict):
    """A transfer from one account to another."""

    id: int
    time: str
    kind: EntryKind
    amount: Cost
    debit: str
    credit: str
    execution: str | None
    outermost_execution: str | None
    graph: str | None
    node: str
    item: str
    attempt: int | None
    key: str
    note: str


EntryKind: TypeAlias = 'Literal["GRANT", "TOP_UP", "HOLD", "SETTLE", "RELEASE", "EXCESS", "WRITE_OFF", "REFUND", "ADJUSTMENT"]'


class Event(TypedDict):
    """Something that has happened."""

    name: str
    payload: NotRequired[Any | None]


class EventSent(TypedDict):
    """Who was told."""

    firings: int


EventsEnum: TypeAlias = 'Literal["execution", "approval", "decision", "execution.started", "execution.succeeded", "execution.failed", "execution.cancelled", "execution.budget_exceeded", "approval.requested", "approval.answered", "approval.timed_out", "approval.cancelled", "decision.requested", "decision.answered", "decision.timed_out", "decision.cancelled"]'


class Execution(TypedDict):
    """An execution in a list: whose, how far, and what it cost."""

    id: str
    graph: str
    graph_name: str
    version: str
    version_number: int
    status: ExecutionStatus
    priority: int
    position: int | None
    is_paused: bool
    retried_from: str | None
    parent_execution: str | None
    error: ExecutionError | None
    input_tokens: int
    output_tokens: int
    cost: Cost
    created_at: str
    started_at: str | None
    ended_at: str | None


class ExecutionDetail(TypedDict):
    """An execution with what went in, what came out, and what it waits for."""

    id: str
    graph: str
    graph_name: str
    version: str
    version_number: int
    status: ExecutionStatus
    priority: int
    position: int | None
    is_paused: bool
    retried_from: str | None
    parent_execution: str | None
    error: ExecutionError | None
    input_tokens: int
    output_tokens: int
    cost: Cost
    created_at: str
    started_at: str | None
    ended_at: str | None
    started_by: StartedBy | None
    waits_for: list[Wait]
    inputs: Any
    outputs: Any


class ExecutionError(TypedDict):
    """Why an execution failed, and the node that did."""

    code: str
    message: str
    hint: str
    node: str


ExecutionStatus: TypeAlias = 'Literal["QUEUED", "RUNNING", "WAITING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED", "BUDGET_EXCEEDED"]'


class File(TypedDict):
    """A file, without its content."""

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    execution: str | None
    created_at: str
    expires_at: str | None


class Fire(TypedDict):
    """A time of a schedule, and what became of it."""

    id: str
    schedule: str
    fire_at: str
    fire_at_local: str
    is_manual: bool
    status: FireStatus
    reason: str
    message: str
    execution: str | None
    created_at: str


FireStatus: TypeAlias = 'Literal["FIRED", "QUEUED", "SKIPPED", "MISSED", "FAILED"]'


class Graph(TypedDict):
    """A graph in a list: what it is called and how far it is."""

    id: str
    name: str
    description: str
    is_archived: bool
    max_concurrent: int | None
    latest_version: int | None
    has_draft: bool
    created_at: str
    updated_at: str


class GraphDetail(TypedDict):
    """A graph with what is drawn in it, and the credentials that takes."""

    id: str
    name: str
    description: str
    is_archived: bool
    max_concurrent: int | None
    latest_version: int | None
    has_draft: bool
    created_at: str
    updated_at: str
    document: dict[str, Any]
    credentials: list[Need]


class GraphFile(TypedDict):
    """A graph as it stands in a file: nothing in it says whose it is."""

    format: NotRequired[Literal[1]]
    name: str
    description: NotRequired[str]
    allowed_hosts: NotRequired[list[str] | None]
    nodes: NotRequired[list[NodeModel]]
    links: NotRequired[list[LinkModel]]


class GraphVersion(TypedDict):
    """A published version."""

    id: str
    number: int | None
    checksum: str
    published_at: str | None


class LinkModel(TypedDict):
    """A link from an output pin (`source_name`) of one node to an input pin (`sink_name`) of another."""

    source_id: str
    sink_id: str
    source_name: str
    sink_name: str
    is_static: NotRequired[bool]


class LiveError(TypedDict):
    """What an execution, a firing or an attempt has failed of."""

    code: str
    message: str
    hint: NotRequired[str]
    node: NotRequired[str]


LiveEvent = TypedDict("LiveEvent", {
    "id": "int",
    "type": "TypeEnum",
    "at": "str",
    "node": "NotRequired[str]",
    "path": "NotRequired[list[int]]",
    "attempt": "NotRequired[int]",
    "outputs": "NotRequired[dict[str, Any]]",
    "left_out": "NotRequired[list[str]]",
    "error": "NotRequired[LiveError | None]",
    "usage": "NotRequired[dict[str, Any]]",
    "input_tokens": "NotRequired[int]",
    "output_tokens": "NotRequired[int]",
    "cost_microcredits": "NotRequired[int]",
    "missing_pins": "NotRequired[list[str]]",
    "reused_from": "NotRequired[str]",
    "wait": "NotRequired[str]",
    "title": "NotRequired[str]",
    "event": "NotRequired[str]",
    "due_at": "NotRequired[str | None]",
    "child": "NotRequired[str | None]",
    "outcome": "NotRequired[WaitStatus]",
    "for": "NotRequired[WaitKind]",
})


class LivePage(TypedDict):
    """The answer to a long poll."""

    events: list[LiveEvent]
    last_id: int
    is_over: bool


class LoggedAttempt(TypedDict):
    """One attempt."""

    at: str
    status_code: int | None
    error_code: str
    seconds: float


ModeEnum: TypeAlias = 'Literal["failed", "from_node", "inputs"]'


class Moment(TypedDict):
    """A coming time: in UTC, and as the clocks of the schedule's zone show it."""

    utc: str
    local: str


class Need(TypedDict):
    """A credential that a node needs, and whether it is there."""

    node: str
    provider: str
    credential_id: str | None
    is_there: bool


class NewSubscription(TypedDict):
    """A subscription that was just made, with its secret."""

    id: str
    name: str
    url: str
    graph: str | None
    graph_name: str | None
    events: list[str]
    is_enabled: bool
    disabled_reason: str
    disabled_at: str | None
    failures: int
    heard_at: str | None
    secret_last4: str
    secret_changed_at: str
    previous_secret_until: str | None
    created_at: str
    secret: str


class NewWebhook(TypedDict):
    """A webhook that was just made, with its secret."""

    id: str
    name: str
    graph: str
    graph_name: str
    url: str
    scheme: SchemeEnum
    events: list[str]
    mapping: Any
    event_name: str
    is_enabled: bool
    secret_last4: str
    secret_changed_at: str
    previous_secret_until: str | None
    created_at: str
    secret: str


class NodeError(TypedDict):
    """Why a node failed."""

    code: str
    message: str
    hint: str


class NodeExecution(TypedDict):
    """One firing of one node."""

    id: str
    node: str
    item: str
    item_path: list[int]
    status: NodeStatus
    attempt: int
    earlier_attempts: Any
    due_at: str | None
    reused_from: str | None
    error: NodeError | None
    missing_pins: list[str]
    inputs: Any
    outputs: Any
    usage: Any
    cost: Cost
    queued_at: str | None
    started_at: str | None
    ended_at: str | None


class NodeModel(TypedDict):
    """A node: the block it runs, and the constants on its pins."""

    id: NotRequired[str]
    block_id: str
    title: NotRequired[str]
    inputs: NotRequired[dict[str, Any]]
    on_error: NotRequired[OnErrorEnum]
    retry: NotRequired[RetryModel | None]
    timeout_s: NotRequired[float | None]
    credentials: NotRequired[dict[str, Any]]
    position: NotRequired[Position]
    metadata: NotRequired[dict[str, Any]]


NodeStatus: TypeAlias = 'Literal["PENDING", "RUNNING", "WAITING", "SUCCEEDED", "FAILED", "SKIPPED", "INCOMPLETE", "CANCELLED"]'


NullEnum: TypeAlias = 'None'


OnErrorEnum: TypeAlias = 'Literal["fail", "continue"]'


class OutgoingDelivery(TypedDict):
    """What a subscription is told of one event, and how far that has come."""

    id: str
    subscription: str
    event: str
    subject: str
    execution: str | None
    status: OutgoingStatus
    attempts: int
    next_at: str | None
    status_code: int | None
    error_code: str
    error_message: str
    created_at: str
    ended_at: str | None


class OutgoingDeliveryDetail(TypedDict):
    """The same with what is told, what was answered, and all attempts."""

    id: str
    subscription: str
    event: str
    subject: str
    execution: str | None
    status: OutgoingStatus
    attempts: int
    next_at: str | None
    status_code: int | None
    error_code: str
    error_message: str
    created_at: str
    ended_at: str | None
    payload: Any
    hops: int
    answer: str
    log: list[LoggedAttempt]


OutgoingStatus: TypeAlias = 'Literal["PENDING", "DELIVERED", "FAILED"]'


Overlap: TypeAlias = 'Literal["allow", "skip", "queue", "cancel"]'


class PaginatedBudgetList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Budget]


class PaginatedCredentialList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Credential]


class PaginatedDeliveryList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Delivery]


class PaginatedEntryList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Entry]


class PaginatedExecutionList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Execution]


class PaginatedFileList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[File]


class PaginatedFireList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Fire]


class PaginatedGraphList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Graph]


class PaginatedGraphVersionList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[GraphVersion]


class PaginatedNodeExecutionList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[NodeExecution]


class PaginatedOutgoingDeliveryList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[OutgoingDelivery]


class PaginatedScheduleList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Schedule]


class PaginatedSubscriptionList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Subscription]


class PaginatedWaitList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Wait]


class PaginatedWebhookList(TypedDict):
    next: NotRequired[str]
    previous: NotRequired[str]
    results: list[Webhook]


PeriodEnum: TypeAlias = 'Literal["NONE", "DAY"]'


class Position(TypedDict):
    """Where a node is drawn."""

    x: float
    y: float


class Problem(TypedDict):
    """One thing that is wrong with a graph."""

    code: str
    path: str
    node: str
    message: str
    hint: str


class ProblemDetails(TypedDict):
    """Why something was refused (RFC 9457), with a code that stays the same."""

    type: str
    title: str
    status: int
    code: str
    message: str
    hint: str
    path: NotRequired[str]
    shortfall_microcredits: NotRequired[int]
    errors: NotRequired[list[dict[str, Any]]]


class Reply(TypedDict):
    """An answer."""

    approved: NotRequired[bool]
    answer: NotRequired[Any | None]
    data: NotRequired[Any | None]
    comment: NotRequired[str]


class Resend(TypedDict):
    """What to send once more."""

    since: str


class Resent(TypedDict):
    """How many are sent once more."""

    deliveries: int


class Retry(TypedDict):
    """How to go on from an ended execution."""

    mode: NotRequired[ModeEnum]
    node: NotRequired[str]
    inputs: NotRequired[dict[str, Any | None]]
    version: NotRequired[VersionEnum]


class RetryModel(TypedDict):
    """How often a failing node is tried, and after what delays; what is left out has its default."""

    attempts: NotRequired[int]
    delay_s: NotRequired[float]
    factor: NotRequired[float]
    max_delay_s: NotRequired[float]
    jitter: NotRequired[float]
    on: NotRequired[list[str]]


class RetryNode(TypedDict):
    """A node that runs again, or may."""

    node: str
    firings: int
    effects: EffectsEnum
    estimated_cost: Cost
    estimated_cost_p95: Cost


class RetryPreview(TypedDict):
    """What a retry would do."""

    version: str
    reused: dict[str, int]
    runs: list[RetryNode]
    nodes_with_effects: list[str]
    estimated_cost: Cost
    estimated_cost_p95: Cost


class Schedule(TypedDict):
    """A schedule, with its next time in both zones."""

    id: str
    name: str
    graph: str
    graph_name: str
    version: str | None
    kind: ScheduleKind
    cron: str
    every_s: int | None
    at: str | None
    timezone: str
    inputs: Any
    priority: int
    budget_microcredits: int | None
    jitter_s: int
    catch_up: CatchUp
    max_catch_up: int
    overlap: Overlap
    is_paused: bool
    pause_reason: str
    next_fire_at: str | None
    next_fire_at_local: str | None
    created_at: str


class ScheduleDetail(TypedDict):
    """The same with the times after it."""

    id: str
    name: str
    graph: str
    graph_name: str
    version: str | None
    kind: ScheduleKind
    cron: str
    every_s: int | None
    at: str | None
    timezone: str
    inputs: Any
    priority: int
    budget_microcredits: int | None
    jitter_s: int
    catch_up: CatchUp
    max_catch_up: int
    overlap: Overlap
    is_paused: bool
    pause_reason: str
    next_fire_at: str | None
    next_fire_at_local: str | None
    created_at: str
    next_fires: list[Moment]


ScheduleKind: TypeAlias = 'Literal["cron", "interval", "once"]'


SchemeEnum: TypeAlias = 'Literal["generic", "standard-webhooks", "github", "stripe", "slack"]'


ScopeEnum: TypeAlias = 'Literal["EXECUTION", "GRAPH", "API_KEY", "OWNER"]'


class Start(TypedDict):
    """What to execute: the latest published version of a graph, or one version; and what to give it."""

    graph: NotRequired[str]
    version: NotRequired[str]
    inputs: NotRequired[dict[str, Any | None]]
    priority: NotRequired[int]
    budget_microcredits: NotRequired[int]


class StartedBy(TypedDict):
    """What started an execution."""

    kind: StartedByKindEnum
    id: str
    name: str
    of: str
    at: str


StartedByKindEnum: TypeAlias = 'Literal["schedule", "webhook"]'


class Subscription(TypedDict):
    """A subscription, without its secret."""

    id: str
    name: str
    url: str
    graph: str | None
    graph_name: str | None
    events: list[str]
    is_enabled: bool
    disabled_reason: str
    disabled_at: str | None
    failures: int
    heard_at: str | None
    secret_last4: str
    secret_changed_at: str
    previous_secret_until: str | None
    created_at: str


class SubscriptionAsk(TypedDict):
    """A new subscription."""

    name: str
    url: str
    events: NotRequired[list[EventsEnum]]
    graph: NotRequired[str | None]
    is_enabled: NotRequired[bool]


class Trial(TypedDict):
    """What a provider makes of a credential."""

    is_good: bool
    message: str
    code: str


TypeEnum: TypeAlias = 'Literal["execution.queued", "execution.running", "execution.waiting", "execution.paused", "execution.resumed", "execution.cancelling", "execution.succeeded", "execution.failed", "execution.cancelled", "execution.budget_exceeded", "node.started", "node.retrying", "node.waiting", "node.woken", "node.succeeded", "node.failed", "node.skipped", "node.incomplete", "node.cancelled"]'


class Use(TypedDict):
    """A node of yours that names a credential."""

    graph_id: str
    graph: str
    version: int | None
    node: str


class Used(TypedDict):
    """What was used of one kind; which columns there are follows from `by`."""

    day: NotRequired[str]
    graph: NotRequired[str]
    node: NotRequired[str]
    execution: NotRequired[str]
    cost: Cost
    charges: int


class Verdict(TypedDict):
    """Whether a document could be published, and what is in the way."""

    is_publishable: bool
    problems: list[Problem]
    document: dict[str, Any] | None
    credentials: list[Need]


VersionEnum: TypeAlias = 'Literal["same", "newest"]'


class Wait(TypedDict):
    """What a firing waits for, or has waited for."""

    id: str
    kind: WaitKind
    status: WaitStatus
    title: str
    execution: str
    node: str
    item: str
    item_path: list[int]
    event: str
    child: str | None
    owner: str
    users: list[str]
    groups: list[str]
    since: str
    due_at: str | None
    on_timeout: str
    answered_by: str
    answered_at: str | None
    comment: str


class WaitDetail(TypedDict):
    """The same with what is shown, what is asked for, and what was answered."""

    id: str
    kind: WaitKind
    status: WaitStatus
    title: str
    execution: str
    node: str
    item: str
    item_path: list[int]
    event: str
    child: str | None
    owner: str
    users: list[str]
    groups: list[str]
    since: str
    due_at: str | None
    on_timeout: str
    answered_by: str
    answered_at: str | None
    comment: str
    form: Any
    data: Any
    editable: bool
    answer: Any | None


WaitKind: TypeAlias = 'Literal["TIMER", "APPROVAL", "EVENT", "DECISION", "CHILD"]'


WaitStatus: TypeAlias = 'Literal["OPEN", "ANSWERED", "TIMED_OUT", "CANCELLED"]'


class Webhook(TypedDict):
    """A webhook, without its secret."""

    id: str
    name: str
    graph: str
    graph_name: str
    url: str
    scheme: SchemeEnum
    events: list[str]
    mapping: Any
    event_name: str
    is_enabled: bool
    secret_last4: str
    secret_changed_at: str
    previous_secret_until: str | None
    created_at: str


class WebhookAsk(TypedDict):
    """A new webhook: of one of your graphs, signed by a scheme or as a provider signs."""

    name: str
    events: NotRequired[list[str]]
    mapping: NotRequired[dict[str, str]]
    event_name: NotRequired[str]
    is_enabled: NotRequired[bool]
    graph: str
    scheme: NotRequired[SchemeEnum]
    provider: NotRequired[WebhookAskProviderEnum]
    secret: NotRequired[str]


WebhookAskProviderEnum: TypeAlias = 'Literal["github", "openai", "slack"]'
