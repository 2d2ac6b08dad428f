-- A firing that is to be begun again has a moment for it, and is begun soon after.
-- Can not lie: reconcile sends what is due within the grace, and notes when; in a paused or stopping execution nothing is claimed.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS e ON e.id = n.execution_id
WHERE n.status = 'PENDING' AND n.execution_id >= %(since)s
  AND (
    n.due_at IS NULL
    OR n.due_at < now() - %(grace)s AND coalesce(e.launched_at, e.created_at) < now() - %(grace)s
       AND e.status IN ('RUNNING', 'WAITING') AND NOT e.is_paused AND NOT e.is_stopping
  )
