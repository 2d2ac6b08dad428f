-- Find executions that have ended while the firing that started them still waits for them: whoever ended them could not tell it.
SELECT w.child_id FROM executions_wait AS w JOIN executions_execution AS child ON child.id = w.child_id
WHERE w.status = 'OPEN' AND w.child_id IS NOT NULL AND child.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED')
LIMIT %(limit)s
