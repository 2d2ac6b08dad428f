-- Each Idempotency-Key that was accepted has its execution, of the same owner.
-- Can not lie: both are written in one transaction. Keys are kept for a day, and months of executions for longer.
SELECT k.id::text
FROM executions_startkey AS k
LEFT JOIN executions_execution AS e ON e.id = k.execution_id
WHERE k.execution_id >= %(since)s AND e.owner_id IS DISTINCT FROM k.owner_id
