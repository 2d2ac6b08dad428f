-- Admit those in line whom the limits leave room for, as if they had just been sent: the owner with the fewest in flight goes first, within an owner
-- the highest priority, then who came first. Between owners with equally many chance decides, so that nobody is always the last.
-- Safe: `alone` has been asked before in this transaction, so nobody else admits meanwhile; who is just being cancelled is left out.
-- Each line (an owner and a graph) is found, and read, from its beginning along the index: however long it is, only what may be admitted is looked at.
WITH RECURSIVE running AS MATERIALIZED (
    SELECT owner_id, graph_id, count(*) AS count FROM executions_execution
    WHERE status IN ('QUEUED', 'RUNNING', 'CANCELLING') AND launched_at IS NOT NULL AND parent_id IS NULL
    GROUP BY owner_id, graph_id
), room AS MATERIALIZED (
    SELECT least(%(in_flight)s - coalesce(sum(count), 0), %(at_once)s) AS for_all FROM running
), lines AS (
    (
        SELECT e.owner_id, e.graph_id FROM executions_execution AS e
        WHERE e.status = 'QUEUED' AND e.launched_at IS NULL AND e.parent_id IS NULL AND NOT e.is_paused AND (SELECT for_all > 0 FROM room)
        ORDER BY e.owner_id, e.graph_id LIMIT 1
    )
    UNION ALL
    SELECT next.owner_id, next.graph_id FROM lines AS here CROSS JOIN LATERAL (
        SELECT e.owner_id, e.graph_id FROM executions_execution AS e
        WHERE e.status = 'QUEUED' AND e.launched_at IS NULL AND e.parent_id IS NULL AND NOT e.is_paused
          AND (e.owner_id, e.graph_id) > (here.owner_id, here.graph_id)
        ORDER BY e.owner_id, e.graph_id LIMIT 1
    ) AS next
), counted AS (
    SELECT l.owner_id, l.graph_id, coalesce(of_owner.count, 0) AS running, g.max_concurrent - coalesce(of_graph.count, 0) AS for_graph
    FROM lines AS l
    JOIN graphs_graph AS g ON g.id = l.graph_id
    LEFT JOIN (SELECT owner_id, sum(count) AS count FROM running GROUP BY owner_id) AS of_owner ON of_owner.owner_id = l.owner_id
    LEFT JOIN (SELECT graph_id, sum(count) AS count FROM running GROUP BY graph_id) AS of_graph ON of_graph.graph_id = l.graph_id
), first AS (
    SELECT c.owner_id, c.running, c.for_graph, e.id, e.priority,
           row_number() OVER (PARTITION BY c.graph_id ORDER BY e.place, e.id) AS place_for_graph
    FROM counted AS c CROSS JOIN LATERAL (
        SELECT id, priority, row_number() OVER (ORDER BY priority DESC, id) AS place FROM executions_execution
        WHERE owner_id = c.owner_id AND graph_id = c.graph_id
          AND status = 'QUEUED' AND launched_at IS NULL AND parent_id IS NULL AND NOT is_paused
        ORDER BY priority DESC, id
        LIMIT greatest(least(%(per_owner)s - c.running, c.for_graph, (SELECT for_all FROM room)), 0)
    ) AS e
), turns AS (
    SELECT id, running + row_number() OVER (PARTITION BY owner_id ORDER BY priority DESC, id) AS turn FROM first
    WHERE for_graph IS NULL OR place_for_graph <= for_graph
), chosen AS (
    SELECT id, turn FROM turns WHERE turn <= %(per_owner)s
    ORDER BY turn, random() LIMIT (SELECT greatest(for_all, 0) FROM room)
), locked AS (
    SELECT e.id, chosen.turn FROM executions_execution AS e JOIN chosen ON chosen.id = e.id
    WHERE e.status = 'QUEUED' AND e.launched_at IS NULL AND NOT e.is_paused
    FOR NO KEY UPDATE OF e SKIP LOCKED
)
UPDATE executions_execution AS e SET launched_at = now(), launches = 1
FROM locked WHERE e.id = locked.id
RETURNING locked.turn, e.id, e.version_id, e.segments_done, e.plan_mark, e.retried_from_id
