-- Read what a lane needs to know of its execution. Without a lock: what it claims and settles later is guarded there.
SELECT status, version_id, inputs, segments_done, is_stopping FROM executions_execution
WHERE id = %(execution_id)s AND status IN ('QUEUED', 'RUNNING')
