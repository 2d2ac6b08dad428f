-- An execution that is under way has a live lease, or was sent a short while ago.
-- Can not lie: reconcile sends it again within the grace, also while messages wait at the broker, and notes when. Of one that is being cancelled
-- nobody notes when it was asked for, so a firing that has ended within the grace counts as well.
SELECT e.id::text
FROM executions_execution AS e
WHERE e.status IN ('QUEUED', 'RUNNING', 'CANCELLING') AND (NOT e.is_paused OR e.status = 'CANCELLING')
  AND (e.launched_at IS NOT NULL OR e.parent_id IS NOT NULL OR e.status <> 'QUEUED')
  AND coalesce(e.launched_at, e.created_at) < now() - %(grace)s AND e.id >= %(since)s
  AND NOT EXISTS (
      SELECT FROM executions_nodeexecution AS n
      WHERE n.execution_id = e.id AND (n.lease_expires_at >= now() - %(grace)s OR n.ended_at >= now() - %(grace)s)
  )
