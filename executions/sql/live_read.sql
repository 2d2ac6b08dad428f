-- Read the events of executions that come after a number, with what the rows say that they refer to; large outputs are left where they are.
-- Without a lock: what is told here does not change any more, but for the status of what still waits, which is not read. From the number -1 on means the last of them.
SELECT v.execution_id, v.number, v.kind, v.node_key, v.item_path, v.attempt, v.at,
       v.mark, n.origin_id, n.missing_pins, n.error_code, n.error_message, n.error_hint,
       CASE WHEN pg_column_size(n.outputs) <= %(max_bytes)s THEN n.outputs END AS outputs,
       n.usage, n.cost_microcredits + n.child_cost_microcredits AS cost_microcredits, n.history,
       e.error_code AS end_code, e.error_message AS end_message, e.error_hint AS end_hint, e.error_node AS end_node,
       CASE WHEN pg_column_size(e.outputs) <= %(max_bytes)s THEN e.outputs END AS all_outputs,
       e.input_tokens, e.output_tokens, e.cost_microcredits AS all_microcredits,
       w.kind AS wait_kind, w.title, w.event, w.due_at, w.child_id, w.id AS wait_id, w.status AS wait_status
FROM unnest(%(ids)s::uuid[], %(after)s::int[]) AS asked (id, after)
CROSS JOIN LATERAL (
    SELECT own.* FROM executions_liveevent AS own
    WHERE own.execution_id = asked.id AND own.number > CASE WHEN asked.after >= 0 THEN asked.after ELSE (
        SELECT max(number) - %(tail)s FROM executions_liveevent AS last WHERE last.execution_id = asked.id
    ) END
    ORDER BY own.number LIMIT %(limit)s
) AS v
LEFT JOIN executions_nodeexecution AS n
    ON n.execution_id = v.execution_id AND n.node_key = v.node_key AND n.item_path = v.item_path
   AND v.kind IN ('node.retrying', 'node.succeeded', 'node.failed', 'node.skipped', 'node.incomplete', 'node.cancelled')
LEFT JOIN executions_execution AS e
    ON e.id = v.execution_id
   AND v.kind IN ('execution.succeeded', 'execution.failed', 'execution.cancelled', 'execution.budget_exceeded')
LEFT JOIN executions_wait AS w
    ON w.execution_id = v.execution_id AND w.node_key = v.node_key AND w.item_path = v.item_path AND w.call_key = v.mark
   AND v.kind IN ('node.waiting', 'node.woken')
ORDER BY v.execution_id, v.number
