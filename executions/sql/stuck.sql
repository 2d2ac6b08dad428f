-- Find executions that were sent and that nothing will carry on by itself, and mark them as sent now.
-- A firing whose lease ran out is missed by nobody else, whatever else of its execution goes on. One that was sent and not begun, or begun and without
-- a live lease, may only be in line while messages still wait at the broker: so it gets a longer, growing grace; a duplicate message is harmless, a
-- flood of them is not. SKIP LOCKED: two reconcilers share the work.
WITH orphaned AS MATERIALIZED (
    SELECT DISTINCT execution_id FROM executions_nodeexecution WHERE status = 'RUNNING' AND lease_expires_at < now()
), stuck AS (
    SELECT e.id FROM executions_execution AS e
    WHERE e.status IN ('QUEUED', 'RUNNING') AND NOT e.is_paused AND e.launched_at < now() - %(grace)s
      AND (
          e.id IN (SELECT execution_id FROM orphaned)
          OR e.launched_at < now() - %(grace)s * least(%(patience)s ^ least(e.launches, 6), 64)
          AND NOT EXISTS (
              SELECT FROM executions_nodeexecution AS n
              WHERE n.execution_id = e.id AND n.status = 'RUNNING' AND n.lease_expires_at > now()
          )
      )
    ORDER BY e.launched_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE executions_execution AS e
SET launched_at = now(), launches = least(e.launches + 1, 30000)
FROM stuck WHERE e.id = stuck.id
RETURNING e.id
