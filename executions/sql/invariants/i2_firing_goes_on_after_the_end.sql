-- Where an execution has ended, all its firings have.
-- Can not lie: whoever ends an execution ends its firings in the same transaction, under its lock, which a claim asks for too.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS e ON e.id = n.execution_id
WHERE n.status IN ('PENDING', 'RUNNING', 'WAITING')
  AND e.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED')
  AND n.execution_id >= %(since)s
