-- Look where executions stand of which only firings are written, and keep them from being cancelled until that is committed.
-- Safe: the weakest lock there is stands in nobody's way but a cancellation's, which therefore sees all or nothing of a settle.
SELECT id, status, is_stopping, is_paused FROM executions_execution
WHERE id = ANY(%(ids)s) AND status IN ('RUNNING', 'WAITING') ORDER BY id FOR KEY SHARE
