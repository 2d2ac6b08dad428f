-- An execution stands in line only while its owner, its graph or the whole installation has no room.
-- Can not lie: what has begun, ended or been suspended within the grace is counted as if it still took its place, as whoever admits the next may not
-- have come yet. Only one that was paused until a moment ago can be told without cause, and is gone when asked again.
WITH busy AS MATERIALIZED (
    SELECT owner_id, graph_id, count(*) AS count FROM executions_execution AS e
    WHERE parent_id IS NULL AND (
        status IN ('QUEUED', 'RUNNING', 'CANCELLING') AND launched_at IS NOT NULL
        OR ended_at >= now() - %(grace)s
        OR status = 'WAITING' AND (
            resumed_at >= now() - %(grace)s
            OR EXISTS (SELECT FROM executions_wait AS w WHERE w.execution_id = e.id AND w.created_at >= now() - %(grace)s)
            OR EXISTS (SELECT FROM executions_nodeexecution AS n WHERE n.execution_id = e.id AND n.status = 'PENDING')
        )
    )
    GROUP BY owner_id, graph_id
)
SELECT e.id::text
FROM executions_execution AS e
JOIN graphs_graph AS g ON g.id = e.graph_id
LEFT JOIN (SELECT owner_id, sum(count) AS count FROM busy GROUP BY owner_id) AS of_owner ON of_owner.owner_id = e.owner_id
LEFT JOIN (SELECT graph_id, sum(count) AS count FROM busy GROUP BY graph_id) AS of_graph ON of_graph.graph_id = e.graph_id
WHERE e.status = 'QUEUED' AND e.launched_at IS NULL AND e.parent_id IS NULL AND NOT e.is_paused
  AND e.created_at < now() - %(grace)s AND e.id >= %(since)s
  AND (SELECT coalesce(sum(count), 0) FROM busy) < %(in_flight)s
  AND coalesce(of_owner.count, 0) < %(per_owner)s
  AND coalesce(of_graph.count, 0) < coalesce(g.max_concurrent, 2147483647)
