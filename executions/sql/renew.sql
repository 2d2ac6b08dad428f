-- Extend every lease that this worker still holds, in one statement. What does not come back has been taken over.
-- Safe: only rows with our own fence are touched; a lost extension only means an earlier take-over, so it need not wait for the disk.
WITH relaxed AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
)
UPDATE executions_nodeexecution AS mine
SET lease_expires_at = now() + %(lease)s
FROM jsonb_to_recordset(%(claims)s::jsonb) AS c (execution_id uuid, node_key text, item_path int[], fence int)
WHERE mine.execution_id = c.execution_id AND mine.node_key = c.node_key AND mine.item_path = c.item_path
  AND mine.fence = c.fence AND mine.status = 'RUNNING' AND (SELECT true FROM relaxed)
RETURNING mine.execution_id, mine.node_key, mine.item_path
