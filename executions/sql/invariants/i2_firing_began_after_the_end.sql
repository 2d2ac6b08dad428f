-- No firing began after its execution had ended.
-- Can not lie as long as clocks are no further apart than the skew: a firing bears its worker's time, the execution the database's, and that of the
-- beginning of a transaction which may have waited for another one.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS e ON e.id = n.execution_id
WHERE n.started_at > e.ended_at + %(skew)s AND n.origin_id IS NULL AND n.execution_id >= %(since)s
