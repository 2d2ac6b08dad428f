-- A firing that was taken over has succeeded where it was taken from, at the same node and path, and costs nothing again.
-- Can not lie: both rows are final. Where the month of the first execution was dropped, there is nothing to compare.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS origin ON origin.id = n.origin_id
WHERE n.origin_id IS NOT NULL AND n.execution_id >= %(since)s
  AND (
    n.status <> 'SUCCEEDED' OR n.cost_microcredits + n.child_cost_microcredits > 0 OR n.outputs <> '{}'
    OR NOT EXISTS (
        SELECT FROM executions_nodeexecution AS first
        WHERE first.execution_id = n.origin_id AND first.node_key = n.node_key AND first.item_path = n.item_path
          AND first.status = 'SUCCEEDED' AND first.origin_id IS NULL
    )
  )
