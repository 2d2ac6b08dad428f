-- Lock all that is still held for executions.
-- Safe: they have ended in this transaction or before, so nothing more is set aside for them.
SELECT execution_id, node_key, item_path, fence, attempt FROM executions_hold WHERE execution_id = ANY(%(ids)s) ORDER BY fence FOR UPDATE
