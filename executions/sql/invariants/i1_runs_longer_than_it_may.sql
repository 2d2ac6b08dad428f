-- Nothing runs longer than it may.
-- Can not lie: reconcile looks for it in every round; what is paused is not counted, and the grace is what its end may take.
SELECT e.id::text
FROM executions_execution AS e
WHERE e.status = 'RUNNING' AND NOT e.is_paused AND e.resumed_at < now() - %(duration)s - %(grace)s AND e.id >= %(since)s
