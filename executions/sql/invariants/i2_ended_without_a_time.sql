-- An execution has the time of its end exactly if it has ended.
-- Can not lie: one statement writes both.
SELECT e.id::text
FROM executions_execution AS e
WHERE (e.ended_at IS NOT NULL) <> (e.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED')) AND e.id >= %(since)s
