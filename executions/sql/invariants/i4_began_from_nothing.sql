-- No node began while a node that feeds it had no row at all.
-- Can not lie: a node ends in at least one row, if only to say that it was skipped, before anything that it feeds begins. Executions that succeeded are left
-- to the part that looks for every node in them.
WITH fed AS MATERIALIZED (
    SELECT DISTINCT l.version_id, source.key AS source, sink.key AS sink
    FROM graphs_link AS l
    JOIN graphs_node AS source ON source.id = l.source_id
    JOIN graphs_node AS sink ON sink.id = l.sink_id
)
SELECT DISTINCT c.execution_id || ':' || c.node_key
FROM executions_execution AS e
JOIN executions_nodeexecution AS c ON c.execution_id = e.id
JOIN fed ON fed.version_id = e.version_id AND fed.sink = c.node_key
WHERE e.status <> 'SUCCEEDED' AND c.started_at IS NOT NULL AND e.id >= %(since)s AND c.execution_id >= %(since)s
  AND NOT EXISTS (SELECT FROM executions_nodeexecution AS p WHERE p.execution_id = e.id AND p.node_key = fed.source)
