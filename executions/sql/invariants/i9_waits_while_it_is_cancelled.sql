-- Where an execution is being cancelled, nothing of it waits to be begun again; except for what has started a sub-graph that still runs.
-- Can not lie: the cancellation ends all that does not run in its own transaction, and a settle that comes later suspends nothing. What waits for
-- a sub-graph ends with it, as only then is known what that has cost.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_execution AS e
JOIN executions_nodeexecution AS n ON n.execution_id = e.id
WHERE e.status = 'CANCELLING' AND n.status IN ('PENDING', 'WAITING') AND e.id >= %(since)s
  AND NOT EXISTS (
      SELECT FROM executions_execution AS child
      WHERE child.parent_id = n.execution_id AND child.parent_node = n.node_key AND child.parent_path = n.item_path
        AND child.status IN ('QUEUED', 'RUNNING', 'WAITING', 'CANCELLING')
  )
