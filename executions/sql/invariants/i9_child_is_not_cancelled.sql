-- Where an execution is being or was cancelled, its children are too.
-- Can not lie: a cancellation covers all below in one transaction; a child that was just being started is given the grace.
SELECT child.id::text
FROM executions_execution AS child
JOIN executions_execution AS parent ON parent.id = child.parent_id
WHERE parent.status IN ('CANCELLING', 'CANCELLED') AND child.status IN ('QUEUED', 'RUNNING', 'WAITING')
  AND child.created_at < now() - %(grace)s AND child.parent_id IS NOT NULL AND child.id >= %(since)s
