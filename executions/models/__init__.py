"""What is stored of an execution."""

from executions.models.execution import Execution, ExecutionQuerySet
from executions.models.ledger import (
    Account,
    AccountQuerySet,
    Budget,
    BudgetQuerySet,
    Hold,
    LedgerEntry,
    LedgerEntryQuerySet,
)
from executions.models.live import LiveEvent, StatusNote
from executions.models.node_execution import NodeExecution, NodeExecutionQuerySet
from executions.models.price import TokenPrice
from executions.models.schedule import (
    CatchUp,
    Fire,
    FireQuerySet,
    FireStatus,
    Overlap,
    Schedule,
    ScheduleQuerySet,
)
from executions.models.start_key import StartKey
from executions.models.subscription import (
    OutgoingDelivery,
    OutgoingStatus,
    Subscription,
    SubscriptionQuerySet,
)
from executions.models.wait import Wait, WaitQuerySet
from executions.models.webhook import Delivery, DeliveryQuerySet, DeliveryStatus, Webhook, WebhookQuerySet

__all__ = [
    "Account",
    "AccountQuerySet",
    "Budget",
    "BudgetQuerySet",
    "CatchUp",
    "Delivery",
    "DeliveryQuerySet",
    "DeliveryStatus",
    "Execution",
    "ExecutionQuerySet",
    "Fire",
    "FireQuerySet",
    "FireStatus",
    "Hold",
    "LedgerEntry",
    "LedgerEntryQuerySet",
    "LiveEvent",
    "NodeExecution",
    "NodeExecutionQuerySet",
    "OutgoingDelivery",
    "OutgoingStatus",
    "Overlap",
    "Schedule",
    "ScheduleQuerySet",
    "StartKey",
    "StatusNote",
    "Subscription",
    "SubscriptionQuerySet",
    "TokenPrice",
    "Wait",
    "WaitQuerySet",
    "Webhook",
    "WebhookQuerySet",
]
