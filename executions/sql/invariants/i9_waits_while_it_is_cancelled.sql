-- Where an execution is being cancelled, nothing of it waits to be begun again.
-- Can not lie: the cancellation ends all that does not run in its own transaction, and a settle that comes later suspends nothing.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_execution AS e
JOIN executions_nodeexecution AS n ON n.execution_id = e.id
WHERE e.status = 'CANCELLING' AND n.status IN ('PENDING', 'WAITING') AND e.id >= %(since)s
