-- An execution that waits has something that wakes it: an open wait, or a firing that falls due.
-- Can not lie: a settle that suspends writes the firing, its wait and the execution's status in one transaction, and so does an answer.
SELECT e.id::text
FROM executions_execution AS e
WHERE e.status = 'WAITING' AND e.id >= %(since)s
  AND NOT EXISTS (SELECT FROM executions_wait AS w WHERE w.execution_id = e.id AND w.status = 'OPEN')
  AND NOT EXISTS (
      SELECT FROM executions_nodeexecution AS n WHERE n.execution_id = e.id AND n.status IN ('PENDING', 'RUNNING')
  )
