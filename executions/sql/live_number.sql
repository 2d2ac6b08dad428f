-- Number what has happened to executions since it was last looked at: everything that their rows say and that has no number yet.
-- Safe: the turn of each is ours (live_turns.sql), so the numbers have no gap; a constraint lets nothing be told twice; what has ended is
-- told as the last, from the same snapshot as all that came before it, and nothing after it.
WITH going AS (
    SELECT e.id, e.status, e.created_at, e.started_at, e.ended_at, e.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED') AS is_final,
           told.last
    FROM executions_execution AS e
    CROSS JOIN LATERAL (
        SELECT coalesce(max(v.number), 0) AS last FROM executions_liveevent AS v WHERE v.execution_id = e.id
    ) AS told
    WHERE e.id = ANY(%(ids)s) AND NOT EXISTS (
        SELECT FROM executions_liveevent AS v WHERE v.execution_id = e.id AND v.number = told.last
          AND v.kind IN ('execution.succeeded', 'execution.failed', 'execution.cancelled', 'execution.budget_exceeded')
    )
), facts AS (
    SELECT g.id AS execution_id, f.kind, '' AS node_key, '{}'::int[] AS item_path, '' AS mark, 0 AS attempt, f.at, f.place, 0 AS rank
    FROM going AS g
    CROSS JOIN LATERAL (VALUES
        ('execution.queued', g.created_at, 0),
        ('execution.running', g.started_at, 1),
        ('execution.' || lower(g.status), CASE WHEN g.is_final THEN g.ended_at END, 3)
    ) AS f (kind, at, place)
    WHERE f.at IS NOT NULL
  UNION ALL
    SELECT s.execution_id, s.kind, '', '{}', s.id::text, 0, s.at, 2, 5
    FROM executions_statusnote AS s WHERE s.execution_id = ANY(%(ids)s)
  UNION ALL
    -- The attempt under way, or the last one. A firing that waits began before it was suspended; one that is pending is not begun again yet.
    SELECT n.execution_id, f.kind, n.node_key, n.item_path, f.mark, n.attempt, f.at, 2, f.rank
    FROM executions_nodeexecution AS n
    CROSS JOIN LATERAL (VALUES
        ('node.started', n.attempt || '.' || CASE WHEN n.status = 'WAITING' THEN n.waits - 1 ELSE n.waits END,
         CASE WHEN n.status <> 'PENDING' THEN n.started_at END, 0),
        ('node.' || lower(n.status), '', CASE WHEN n.status NOT IN ('PENDING', 'RUNNING', 'WAITING') THEN n.ended_at END, 4)
    ) AS f (kind, mark, at, rank)
    WHERE n.execution_id = ANY(%(ids)s) AND f.at IS NOT NULL
  UNION ALL
    -- The attempts before it. Of one whose beginning was seen, the beginning is not told again.
    SELECT n.execution_id, f.kind, n.node_key, n.item_path, f.mark, h.attempt, f.at, 2, f.rank
    FROM executions_nodeexecution AS n
    CROSS JOIN LATERAL (
        SELECT DISTINCT ON (attempt) * FROM jsonb_to_recordset(n.history) AS one (attempt smallint, started_at timestamptz, ended_at timestamptz)
        ORDER BY attempt, started_at
    ) AS h
    CROSS JOIN LATERAL (VALUES
        ('node.started', h.attempt || '.0', h.started_at, 0),
        ('node.retrying', h.attempt::text, h.ended_at, 3)
    ) AS f (kind, mark, at, rank)
    WHERE n.execution_id = ANY(%(ids)s) AND n.history <> '[]' AND h.attempt < n.attempt AND f.at IS NOT NULL AND NOT (
        f.kind = 'node.started' AND EXISTS (
            SELECT FROM executions_liveevent AS v
            WHERE v.execution_id = n.execution_id AND v.kind = 'node.started' AND v.node_key = n.node_key
              AND v.item_path = n.item_path AND v.attempt = h.attempt
        )
    )
  UNION ALL
    SELECT w.execution_id, f.kind, w.node_key, w.item_path, w.call_key, 0, f.at, 2, f.rank
    FROM executions_wait AS w
    CROSS JOIN LATERAL (VALUES ('node.waiting', w.created_at, 1), ('node.woken', w.answered_at, 2)) AS f (kind, at, rank)
    WHERE w.execution_id = ANY(%(ids)s) AND f.at IS NOT NULL
)
INSERT INTO executions_liveevent (execution_id, number, kind, node_key, item_path, mark, attempt, at)
SELECT f.execution_id,
       g.last + row_number() OVER (PARTITION BY f.execution_id ORDER BY f.place, f.at, f.rank, f.node_key, f.item_path, f.mark),
       f.kind, f.node_key, f.item_path, f.mark, f.attempt, f.at
FROM facts AS f
JOIN going AS g ON g.id = f.execution_id
WHERE NOT EXISTS (
    SELECT FROM executions_liveevent AS v
    WHERE v.execution_id = f.execution_id AND v.kind = f.kind AND v.node_key = f.node_key AND v.item_path = f.item_path AND v.mark = f.mark
)
