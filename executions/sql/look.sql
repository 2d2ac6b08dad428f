-- Read what lanes need to know of their executions. Without a lock: what they claim and settle later is guarded there.
SELECT id, status, version_id, inputs, segments_done, is_stopping, is_paused, plan_mark, retried_from_id IS NOT NULL AS has_origins,
       owner_id, coalesce(root_id, id) AS root_id, parent_id, depth,
       CASE WHEN parent_id IS NOT NULL THEN ARRAY(
           WITH RECURSIVE callers AS (
               SELECT c.parent_id, c.version_id FROM executions_execution AS c WHERE c.id = e.parent_id
               UNION ALL
               SELECT c.parent_id, c.version_id FROM callers JOIN executions_execution AS c ON c.id = callers.parent_id
           )
           SELECT DISTINCT version_id FROM callers
       ) END AS callers
FROM executions_execution AS e
WHERE id = ANY(%(ids)s) AND status IN ('QUEUED', 'RUNNING', 'WAITING')
