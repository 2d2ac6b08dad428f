-- Note what is held now, for which claim, and which budgets it counts for.
INSERT INTO executions_hold (
    fence, owner_id, amount_microcredits, budget_ids, execution_id, root_id, graph_id, node_key, item_path, attempt, created_at
)
SELECT fence, owner_id, amount, budget_ids, execution_id, root_id, graph_id, node_key, item_path, attempt, now()
FROM jsonb_to_recordset(%(holds)s::jsonb) AS h (
    fence bigint, owner_id bigint, amount bigint, budget_ids bigint[], execution_id uuid, root_id uuid, graph_id uuid, node_key text,
    item_path int[], attempt smallint
)
