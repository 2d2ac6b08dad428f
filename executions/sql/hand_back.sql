-- Give firings back that were claimed and not begun: they are as they were, to be claimed again a little later.
-- Safe: only rows with our own fence are touched, and nothing of them has run. Written for the planner as settle.sql is.
UPDATE executions_nodeexecution AS mine
SET status = 'PENDING', due_at = now() + %(pause)s, lease_expires_at = NULL
FROM (
    SELECT * FROM jsonb_to_recordset(%(claims)s::jsonb) AS c (execution_id uuid, node_key text, item_path int[], fence bigint)
    LIMIT (SELECT NULL::bigint)
) AS c
WHERE mine.execution_id = c.execution_id AND mine.node_key = c.node_key AND mine.item_path = c.item_path
  AND mine.fence = c.fence AND mine.lease_expires_at IS NOT NULL
RETURNING mine.fence
