"""The console's windows onto executions."""

from executions.admin.execution import ExecutionAdmin
from executions.admin.money import AccountAdmin, BudgetAdmin, LedgerEntryAdmin, TokenPriceAdmin
from executions.admin.node_execution import NodeExecutionAdmin
from executions.admin.wait import WaitAdmin

__all__ = [
    "AccountAdmin",
    "BudgetAdmin",
    "ExecutionAdmin",
    "LedgerEntryAdmin",
    "NodeExecutionAdmin",
    "TokenPriceAdmin",
    "WaitAdmin",
]
