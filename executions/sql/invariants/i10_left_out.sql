-- Of an execution whose end was told, the end of every firing was told before.
-- Can not lie: firings end before their execution does, or with it, and are read from the same snapshot.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_liveevent AS v
JOIN executions_nodeexecution AS n ON n.execution_id = v.execution_id
WHERE v.execution_id >= %(since)s AND n.execution_id >= %(since)s
  AND v.kind IN ('execution.succeeded', 'execution.failed', 'execution.cancelled', 'execution.budget_exceeded')
  AND NOT EXISTS (
      SELECT FROM executions_liveevent AS own
      WHERE own.execution_id = n.execution_id AND own.kind = 'node.' || lower(n.status)
        AND own.node_key = n.node_key AND own.item_path = n.item_path AND own.mark = ''
  )
