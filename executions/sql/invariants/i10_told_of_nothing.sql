-- What was told of a firing is so: its row is there, began if a beginning was told, and has ended as was told.
-- Can not lie: rows of firings are never removed while their execution is there, and an end does not change.
SELECT v.execution_id || ':' || v.number
FROM executions_liveevent AS v
LEFT JOIN executions_nodeexecution AS n
    ON n.execution_id = v.execution_id AND n.node_key = v.node_key AND n.item_path = v.item_path AND n.execution_id >= %(since)s
WHERE v.execution_id >= %(since)s AND v.node_key <> '' AND EXISTS (SELECT FROM executions_execution AS e WHERE e.id = v.execution_id)
  AND (
      n.id IS NULL
      OR v.kind = 'node.started' AND n.started_at IS NULL
      OR v.kind IN ('node.succeeded', 'node.failed', 'node.skipped', 'node.incomplete', 'node.cancelled') AND v.kind <> 'node.' || lower(n.status)
  )
