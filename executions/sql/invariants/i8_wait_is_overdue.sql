-- A wait is closed soon after the moment until which it was open, and one for an execution soon after that has ended.
-- Can not lie: reconcile closes both within the grace; in a paused or stopping execution it need not.
SELECT w.id::text
FROM executions_wait AS w
JOIN executions_execution AS e ON e.id = w.execution_id
LEFT JOIN executions_execution AS child ON child.id = w.child_id
WHERE w.status = 'OPEN' AND e.status IN ('RUNNING', 'WAITING') AND NOT e.is_paused AND NOT e.is_stopping AND e.id >= %(since)s
  AND least(w.due_at, child.ended_at) < now() - %(grace)s
