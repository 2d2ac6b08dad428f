-- Start executions as sub-graphs of firings that run, and say of each whether it was begun, was there already, or why neither.
-- Safe: the id follows from the firing and its call, so of two that start the same child one is left out. The executions of the callers are locked for
-- share, so no child slips past a cancellation: it waits for this commit and then finds the child, or this finds it cancelled. A child that is lost in a
-- crash has done nothing yet, as what follows is written after it: so it need not wait for the disk.
WITH relaxed AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), asked AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(calls)s::jsonb) AS c (
        id uuid, parent_id uuid, parent_node text, parent_path int[], fence bigint, call_key text, graph_id uuid, version_id uuid, inputs jsonb,
        plan_mark text, place int
    )
), parents AS MATERIALIZED (
    SELECT id, owner_id, coalesce(root_id, id) AS root_id, depth, priority, is_paused
    FROM executions_execution
    WHERE id = ANY(%(parents)s) AND status IN ('RUNNING', 'WAITING') AND (SELECT true FROM relaxed)
    ORDER BY id FOR SHARE
), families AS MATERIALIZED (
    SELECT root_id, (
        SELECT count(*) FROM (
            SELECT FROM executions_execution AS e WHERE e.root_id = roots.root_id LIMIT %(limit)s
        ) AS counted
    ) AS size
    FROM (SELECT DISTINCT root_id FROM parents) AS roots
), judged AS MATERIALIZED (
    SELECT asked.*, parents.owner_id, parents.root_id, parents.depth + 1 AS depth, parents.priority, parents.is_paused,
           n.id IS NOT NULL AS is_going,
           families.size + row_number() OVER (PARTITION BY parents.root_id ORDER BY asked.place) > %(limit)s AS is_too_many
    FROM asked
    LEFT JOIN parents ON parents.id = asked.parent_id
    LEFT JOIN families ON families.root_id = parents.root_id
    LEFT JOIN executions_nodeexecution AS n
        ON n.execution_id = parents.id AND n.node_key = asked.parent_node AND n.item_path = asked.parent_path
        AND n.fence = asked.fence AND n.lease_expires_at IS NOT NULL
), begun AS (
    INSERT INTO executions_execution (
        id, graph_id, version_id, owner_id, status, priority, parent_id, parent_node, parent_path, call_key, root_id, depth, inputs, outputs,
        segments_done, plan_mark, is_stopping, is_paused, error_code, error_message, error_hint, error_node,
        input_tokens, output_tokens, cost_microcredits, created_at, launched_at, launches
    )
    SELECT id, graph_id, version_id, owner_id, 'QUEUED', priority, parent_id, parent_node, parent_path, call_key, root_id, depth, inputs, '{}',
           '{}', plan_mark, false, is_paused, '', '', '', '',
           0, 0, 0, statement_timestamp(), statement_timestamp(), 1
    FROM judged
    WHERE is_going AND NOT is_too_many
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT id, CASE WHEN id IN (SELECT id FROM begun) THEN 'BEGUN' WHEN NOT is_going THEN 'GONE' WHEN is_too_many THEN 'FULL' ELSE 'THERE' END,
       is_paused
FROM judged
