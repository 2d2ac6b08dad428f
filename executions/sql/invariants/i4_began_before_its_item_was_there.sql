-- No firing began before the firing that gives it its item had ended.
-- Can not lie: plain firings are left to the part that compares nodes. Here, producer and consumer are compared at the paths of which one begins the other, where the engine waits in every case.
-- That the producer has ended is seen in one snapshot, without any clock. Fences are given out in order of claims, and a consumer is claimed only after its
-- producers are kept. Times are of the workers' clocks, hence the skew; paths that were closed have the database's and are not compared.
WITH fed AS MATERIALIZED (
    SELECT DISTINCT l.version_id, source.key AS source, sink.key AS sink
    FROM graphs_link AS l
    JOIN graphs_node AS source ON source.id = l.source_id
    JOIN graphs_node AS sink ON sink.id = l.sink_id
), first_fence AS MATERIALIZED (
    SELECT seqstart FROM pg_sequence WHERE seqrelid = 'executions_fence'::regclass
)
SELECT c.execution_id || ':' || c.node_key || ':' || array_to_string(c.item_path, ',')
FROM (
    SELECT n.execution_id, n.node_key, n.item_path, n.fence, n.started_at, fed.source, n.item_path[1:length] AS source_path
    FROM executions_nodeexecution AS n
    JOIN executions_execution AS e ON e.id = n.execution_id
    JOIN fed ON fed.version_id = e.version_id AND fed.sink = n.node_key
    CROSS JOIN LATERAL generate_series(0, cardinality(n.item_path)) AS length
    WHERE n.item_path <> '{}' AND n.started_at IS NOT NULL AND n.origin_id IS NULL AND n.execution_id >= %(since)s AND e.id >= %(since)s
    -- Worked out first, so that the path is part of the key by which both are joined: else each item meets all its siblings.
    OFFSET 0
) AS c
JOIN executions_nodeexecution AS p
    ON p.execution_id = c.execution_id AND p.node_key = c.source AND p.item_path = c.source_path
WHERE p.origin_id IS NULL AND p.execution_id >= %(since)s
  AND (
    p.status IN ('PENDING', 'RUNNING', 'WAITING')
    OR p.fence >= c.fence AND c.fence >= (SELECT seqstart FROM first_fence)
    OR p.status IN ('SUCCEEDED', 'FAILED') AND p.ended_at > c.started_at + %(skew)s
  )
