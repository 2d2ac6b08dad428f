"""What is stored of an execution."""

from executions.models.execution import Execution, ExecutionQuerySet
from executions.models.node_execution import NodeExecution, NodeExecutionQuerySet
from executions.models.wait import Wait, WaitQuerySet

__all__ = [
    "Execution",
    "ExecutionQuerySet",
    "NodeExecution",
    "NodeExecutionQuerySet",
    "Wait",
    "WaitQuerySet",
]
