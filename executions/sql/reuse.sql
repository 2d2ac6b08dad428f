-- Give a new execution the firings that stand from an ended one: by reference, so nothing is copied and nothing is paid again.
-- Safe: what is referred to is final and can not change; a firing that was itself taken over refers to the one that ran.
INSERT INTO executions_nodeexecution (
    id, execution_id, node_key, item_path, status, attempt, crashes, fence, worker, waits, origin_id, inputs, outputs, missing_pins,
    error_code, error_message, error_hint, usage, cost_microcredits, child_cost_microcredits, child_input_tokens, child_output_tokens,
    history, started_at, ended_at
)
SELECT f.id, %(execution_id)s, n.node_key, n.item_path, n.status, 1, 0, 0, '', 0, coalesce(n.origin_id, n.execution_id), '{}', '{}', '{}',
       '', '', '', '{}', 0, 0, 0, 0, '[]', now(), now()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS f (id uuid, node_key text, item_path int[])
JOIN executions_nodeexecution AS n
    ON n.execution_id = %(ended_id)s AND n.node_key = f.node_key AND n.item_path = f.item_path AND n.status = 'SUCCEEDED'
