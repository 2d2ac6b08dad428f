-- Every firing is of a node of the version that its execution runs.
-- Can not lie: a published version never changes, and goes only with its graph and the executions of that.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS e ON e.id = n.execution_id
WHERE n.execution_id >= %(since)s
  AND NOT EXISTS (SELECT FROM graphs_node AS k WHERE k.version_id = e.version_id AND k.key = n.node_key)
