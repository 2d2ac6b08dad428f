-- What waits or computes for long ran under a claim; only what is cheap is written without one.
-- Can not lie: placements are those which the version remembers of its publication, by which workers go too.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS e ON e.id = n.execution_id
JOIN graphs_node AS k ON k.version_id = e.version_id AND k.key = n.node_key
WHERE n.status IN ('SUCCEEDED', 'FAILED') AND n.fence = 0 AND n.origin_id IS NULL
  AND k.facts ->> 'placement' IN ('io', 'cpu') AND n.execution_id >= %(since)s
