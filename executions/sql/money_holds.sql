-- Read what is held for firings.
-- Safe: whoever asks holds the lock of the firing, or its execution has ended and the lock of the hold is his: so nobody else changes it.
SELECT h.fence, h.owner_id, h.amount_microcredits, h.budget_ids, h.execution_id, h.node_key, h.item_path
FROM jsonb_to_recordset(%(places)s::jsonb) AS p (execution_id uuid, node_key text, item_path int[])
JOIN executions_hold AS h ON h.execution_id = p.execution_id AND h.node_key = p.node_key AND h.item_path = p.item_path
