-- What an execution is said to have cost is what its firings cost, to the micro-credit.
-- Can not lie: the statement that ends an execution adds up rows which can not change afterwards. One that ended before it began has none.
SELECT e.id::text
FROM executions_execution AS e
LEFT JOIN (
    SELECT n.execution_id, sum(n.cost_microcredits + n.child_cost_microcredits) AS cost
    FROM executions_nodeexecution AS n WHERE n.execution_id >= %(since)s GROUP BY n.execution_id
) AS firings ON firings.execution_id = e.id
WHERE e.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED') AND e.id >= %(since)s
  AND e.cost_microcredits <> coalesce(firings.cost, 0)
