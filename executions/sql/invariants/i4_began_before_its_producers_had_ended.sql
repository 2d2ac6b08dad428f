-- No node began before the nodes that feed it had ended: one that joins several links, or gathers, at every path, any other at the plain path.
-- Can not lie: a node that joins is matched once its producers have ended at every path, so none of them has an open firing any more. A node with one link
-- goes on item by item, so that only its plain firing is compared with the plain one before it; items have a part of their own. Where no version remembers
-- whether a node gathers, it is taken for one that does not. For snapshot, fences and times the same holds as there.
WITH links AS MATERIALIZED (
    SELECT l.version_id, source.key AS source, sink.key AS sink,
           count(*) OVER (PARTITION BY l.sink_id) > 1 OR l.is_static OR sink.facts ->> 'gathers' IS NOT NULL AS joins
    FROM graphs_link AS l
    JOIN graphs_node AS source ON source.id = l.source_id
    JOIN graphs_node AS sink ON sink.id = l.sink_id
), fed AS MATERIALIZED (
    SELECT version_id, source, sink, bool_or(joins) AS joins FROM links GROUP BY version_id, source, sink
), nodes AS MATERIALIZED (
    SELECT n.execution_id, n.node_key,
           bool_or(n.status IN ('PENDING', 'RUNNING', 'WAITING')) AS is_open,
           max(n.fence) FILTER (WHERE n.fence >= s.seqstart) AS last_fence,
           min(n.fence) FILTER (WHERE n.fence >= s.seqstart AND n.origin_id IS NULL) AS first_fence,
           max(n.ended_at) FILTER (WHERE n.status IN ('SUCCEEDED', 'FAILED') AND n.origin_id IS NULL) AS ended_at,
           min(n.started_at) FILTER (WHERE n.origin_id IS NULL) AS started_at,
           bool_or(n.status IN ('PENDING', 'RUNNING', 'WAITING')) FILTER (WHERE n.item_path = '{}') AS is_plain_open,
           max(n.fence) FILTER (WHERE n.item_path = '{}' AND n.fence >= s.seqstart) AS plain_fence,
           max(n.ended_at) FILTER (
               WHERE n.item_path = '{}' AND n.status IN ('SUCCEEDED', 'FAILED') AND n.origin_id IS NULL
           ) AS plain_ended_at,
           max(n.started_at) FILTER (WHERE n.item_path = '{}' AND n.origin_id IS NULL) AS plain_started_at
    FROM executions_nodeexecution AS n
    CROSS JOIN (SELECT seqstart FROM pg_sequence WHERE seqrelid = 'executions_fence'::regclass) AS s
    WHERE n.execution_id >= %(since)s
    GROUP BY n.execution_id, n.node_key
)
SELECT c.execution_id || ':' || c.node_key
FROM nodes AS c
JOIN executions_execution AS e ON e.id = c.execution_id
JOIN fed ON fed.version_id = e.version_id AND fed.sink = c.node_key
JOIN nodes AS p ON p.execution_id = c.execution_id AND p.node_key = fed.source
WHERE e.id >= %(since)s
  AND CASE WHEN fed.joins
      THEN c.started_at IS NOT NULL AND p.is_open OR p.last_fence >= c.first_fence OR p.ended_at > c.started_at + %(skew)s
      ELSE c.plain_started_at IS NOT NULL AND p.is_plain_open OR p.plain_fence >= c.plain_fence
           OR p.plain_ended_at > c.plain_started_at + %(skew)s
      END
