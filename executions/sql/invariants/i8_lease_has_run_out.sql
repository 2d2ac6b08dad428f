-- No firing is left with a lease that has run out.
-- Can not lie: reconcile sends an execution again within the grace, also while messages wait at the broker, and notes when. Who was sent and is
-- still in line is no orphan; in a paused execution nothing is claimed.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS e ON e.id = n.execution_id
WHERE n.status = 'RUNNING' AND n.lease_expires_at < now() - %(grace)s AND n.execution_id >= %(since)s
  AND (NOT e.is_paused OR e.status = 'CANCELLING') AND coalesce(e.launched_at, e.created_at) < now() - %(grace)s
