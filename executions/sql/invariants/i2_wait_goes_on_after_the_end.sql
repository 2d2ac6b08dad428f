-- Where an execution has ended, nobody is asked for anything any more.
-- Can not lie: whoever ends an execution closes its waits in the same transaction.
SELECT w.id::text
FROM executions_wait AS w
JOIN executions_execution AS e ON e.id = w.execution_id
WHERE w.status = 'OPEN' AND e.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED') AND e.id >= %(since)s
