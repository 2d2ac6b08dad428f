-- The event that an execution has ended is the last of it, and tells the end that its row has.
-- Can not lie: it is numbered from the same snapshot as all before it, and what has ended does not change.
SELECT v.execution_id || ':' || v.number
FROM executions_liveevent AS v
LEFT JOIN executions_execution AS e ON e.id = v.execution_id
WHERE v.execution_id >= %(since)s
  AND v.kind IN ('execution.succeeded', 'execution.failed', 'execution.cancelled', 'execution.budget_exceeded')
  AND (
      v.kind <> 'execution.' || lower(e.status)
      OR EXISTS (SELECT FROM executions_liveevent AS later WHERE later.execution_id = v.execution_id AND later.number > v.number)
  )
