-- Write paths at which a node never fires. All are final.
-- Safe: what is written follows from what has ended before, so whoever comes first writes the same.
INSERT INTO executions_nodeexecution (
    id, execution_id, node_key, item_path, status, attempt, crashes, fence, worker, waits, inputs, outputs, missing_pins,
    error_code, error_message, error_hint, usage, cost_microcredits, child_cost_microcredits, child_input_tokens, child_output_tokens,
    history, ended_at
)
SELECT f.id, f.execution_id, f.node_key, f.item_path, f.status, 1, 0, 0, '', 0, '{}', '{}', f.missing_pins, '', '', '', '{}', 0, 0, 0, 0,
       '[]', now()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS f (
    id uuid, execution_id uuid, node_key text, item_path int[], status text, missing_pins text[]
)
ON CONFLICT (execution_id, node_key, item_path) DO NOTHING
