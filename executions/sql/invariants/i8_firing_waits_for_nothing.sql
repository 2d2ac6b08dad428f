-- A firing that waits has an open wait, and an open wait has a firing that waits.
-- Can not lie: a settle that suspends writes both in one transaction, and so does whatever ends the wait.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_execution AS e
JOIN executions_nodeexecution AS n ON n.execution_id = e.id
WHERE e.status IN ('RUNNING', 'WAITING', 'CANCELLING') AND n.status = 'WAITING' AND e.id >= %(since)s
  AND NOT EXISTS (
      SELECT FROM executions_wait AS w
      WHERE w.execution_id = n.execution_id AND w.node_key = n.node_key AND w.item_path = n.item_path AND w.status = 'OPEN'
  )
UNION ALL
SELECT w.id::text
FROM executions_wait AS w
WHERE w.status = 'OPEN' AND w.execution_id >= %(since)s
  AND NOT EXISTS (
      SELECT FROM executions_nodeexecution AS n
      WHERE n.execution_id = w.execution_id AND n.node_key = w.node_key AND n.item_path = w.item_path AND n.status = 'WAITING'
  )
