-- A firing has had an attempt for each worker that was lost with it, and one more.
-- Can not lie: the statement that takes over counts both.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
WHERE n.attempt <= n.crashes AND n.execution_id >= %(since)s
