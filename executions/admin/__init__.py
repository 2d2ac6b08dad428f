"""The console's windows onto executions."""

from executions.admin.execution import ExecutionAdmin
from executions.admin.node_execution import NodeExecutionAdmin
from executions.admin.wait import WaitAdmin

__all__ = ["ExecutionAdmin", "NodeExecutionAdmin", "WaitAdmin"]
