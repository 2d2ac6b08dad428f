-- Read what lanes need to know of their executions. Without a lock: what they claim and settle later is guarded there.
SELECT id, status, version_id, inputs, segments_done, is_stopping, is_paused, plan_mark, retried_from_id IS NOT NULL AS has_origins,
       owner_id, coalesce(root_id, id) AS root_id, parent_id, depth
FROM executions_execution
WHERE id = ANY(%(ids)s) AND status IN ('QUEUED', 'RUNNING', 'WAITING')
