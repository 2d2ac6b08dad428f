-- Extend every lease that this worker still holds, in one statement. Return those to let go of: they were taken over, and bear another fence,
-- or their execution was cancelled, perhaps after the lease had run out.
-- Safe: only rows with our own fence are touched; a lost extension only means an earlier take-over, so it need not wait for the disk. Written for the planner as settle.sql is.
WITH relaxed AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), held AS (
    SELECT * FROM jsonb_to_recordset(%(claims)s::jsonb) AS c (execution_id uuid, node_key text, item_path int[], fence bigint)
    LIMIT (SELECT NULL::bigint)
), renewed AS (
    UPDATE executions_nodeexecution AS mine
    SET lease_expires_at = now() + %(lease)s
    FROM held
    WHERE mine.execution_id = held.execution_id AND mine.node_key = held.node_key AND mine.item_path = held.item_path
      AND mine.fence = held.fence AND mine.lease_expires_at IS NOT NULL AND (SELECT true FROM relaxed)
)
SELECT n.execution_id, n.node_key, n.item_path, held.fence, n.fence = held.fence AS is_cancelled
FROM held
JOIN executions_nodeexecution AS n
    ON n.execution_id = held.execution_id AND n.node_key = held.node_key AND n.item_path = held.item_path
JOIN executions_execution AS e ON e.id = held.execution_id
WHERE n.fence <> held.fence OR e.status = 'CANCELLING' OR n.status = 'CANCELLED'
