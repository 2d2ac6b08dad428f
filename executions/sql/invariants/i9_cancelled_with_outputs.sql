-- A firing that was cancelled has given nothing.
-- Can not lie: the row is final.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
WHERE n.status = 'CANCELLED' AND n.outputs <> '{}' AND n.execution_id >= %(since)s
