"""The console's windows onto executions."""

from executions.admin.execution import ExecutionAdmin
from executions.admin.node_execution import NodeExecutionAdmin

__all__ = ["ExecutionAdmin", "NodeExecutionAdmin"]
