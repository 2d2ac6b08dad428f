-- Find executions that are to stop and of which nothing runs any more, neither a firing nor a sub-graph, and take their locks.
-- Safe: nothing is claimed or started of them since they were told to stop, so this can only become more true. What somebody else has locked is
-- just being ended, or looked at again with the next round.
SELECT e.id, e.error_code FROM executions_execution AS e
WHERE e.status = 'CANCELLING' AND (%(ids)s::uuid[] IS NULL OR e.id = ANY(%(ids)s::uuid[]))
  AND NOT EXISTS (
      SELECT FROM executions_nodeexecution AS n
      WHERE n.execution_id = e.id AND n.status = 'RUNNING' AND n.lease_expires_at >= now()
  )
  AND NOT EXISTS (
      SELECT FROM executions_execution AS child
      WHERE child.parent_id = e.id AND child.status IN ('QUEUED', 'RUNNING', 'WAITING', 'CANCELLING')
  )
ORDER BY e.id
LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED
