-- Give up leases at once, so that another worker need not wait for them to run out.
-- Safe: only rows with our own fence are touched. Written for the planner as settle.sql is.
UPDATE executions_nodeexecution AS mine
SET lease_expires_at = now() - interval '1 second'
FROM (
    SELECT * FROM jsonb_to_recordset(%(claims)s::jsonb) AS c (execution_id uuid, node_key text, item_path int[], fence bigint)
    LIMIT (SELECT NULL::bigint)
) AS c
WHERE mine.execution_id = c.execution_id AND mine.node_key = c.node_key AND mine.item_path = c.item_path
  AND mine.fence = c.fence AND mine.lease_expires_at IS NOT NULL
