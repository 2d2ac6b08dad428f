-- Money is held only for firings that are claimed and not settled: for none of an execution that has ended.
-- Can not lie: a claim is settled, given back or cancelled together with what is held for it. One that is lost is claimed anew, or its execution ends.
SELECT h.execution_id || ':' || h.node_key || ':' || array_to_string(h.item_path, ',')
FROM executions_hold AS h
LEFT JOIN executions_execution AS e ON e.id = h.execution_id
LEFT JOIN executions_nodeexecution AS n ON n.execution_id = h.execution_id AND n.node_key = h.node_key AND n.item_path = h.item_path
WHERE e.id IS NULL OR e.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED')
   OR n.fence IS DISTINCT FROM h.fence
   -- Left behind by a worker that is gone, it is cancelled before its execution has ended.
   OR n.status <> 'RUNNING' AND NOT (e.status = 'CANCELLING' AND n.status = 'CANCELLED')
