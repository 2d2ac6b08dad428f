"""The console's windows onto executions."""

from executions.admin.execution import ExecutionAdmin
from executions.admin.file import FileAdmin
from executions.admin.money import AccountAdmin, BudgetAdmin, LedgerEntryAdmin, TokenPriceAdmin
from executions.admin.node_execution import NodeExecutionAdmin
from executions.admin.schedule import FireAdmin, ScheduleAdmin
from executions.admin.subscription import OutgoingDeliveryAdmin, SubscriptionAdmin
from executions.admin.wait import WaitAdmin
from executions.admin.webhook import DeliveryAdmin, WebhookAdmin

__all__ = [
    "AccountAdmin",
    "BudgetAdmin",
    "DeliveryAdmin",
    "ExecutionAdmin",
    "FileAdmin",
    "FireAdmin",
    "LedgerEntryAdmin",
    "NodeExecutionAdmin",
    "OutgoingDeliveryAdmin",
    "ScheduleAdmin",
    "SubscriptionAdmin",
    "TokenPriceAdmin",
    "WaitAdmin",
    "WebhookAdmin",
]
