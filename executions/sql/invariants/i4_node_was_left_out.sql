-- In an execution that succeeded every node has ended in at least one row.
-- Can not lie: a node that does not fire has a row that says so, and the last rows are written with the end.
SELECT e.id || ':' || k.key
FROM executions_execution AS e
JOIN graphs_node AS k ON k.version_id = e.version_id
WHERE e.status = 'SUCCEEDED' AND e.id >= %(since)s
  AND NOT EXISTS (
      SELECT FROM executions_nodeexecution AS n
      WHERE n.execution_id = e.id AND n.node_key = k.key AND n.execution_id >= %(since)s
  )
