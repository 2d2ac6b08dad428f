-- A firing has a lease, with its worker and fence, exactly while it runs.
-- Can not lie: the statements that claim, settle and cancel write status and lease together.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
WHERE n.execution_id >= %(since)s AND (
    (n.lease_expires_at IS NOT NULL) <> (n.status = 'RUNNING')
    OR n.status = 'RUNNING' AND (n.fence = 0 OR n.worker = '')
)
