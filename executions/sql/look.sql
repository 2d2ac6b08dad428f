-- Read what lanes need to know of their executions. Without a lock: what they claim and settle later is guarded there.
SELECT id, status, version_id, inputs, segments_done, is_stopping FROM executions_execution
WHERE id = ANY(%(ids)s) AND status IN ('QUEUED', 'RUNNING')
