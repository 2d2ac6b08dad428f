-- Write transfers, and what they make of the balances: both from the same rows, so that neither can be without the other.
-- Safe: the credit of every owner in it is locked by the caller. The platform's accounts carry no balance: everybody would write the same rows.
WITH moved AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(entries)s::jsonb) AS m (
        kind text, debit bigint, credit bigint, amount bigint, owner_id bigint, execution_id uuid, root_id uuid, graph_id uuid,
        node_key text, item_path int[], attempt smallint, fence bigint, key text, note text, by_id bigint
    )
), written AS (
    INSERT INTO executions_ledgerentry (
        kind, debit_id, credit_id, amount_microcredits, owner_id, execution_id, root_id, graph_id, node_key, item_path, attempt, fence,
        key, note, by_id, created_at
    )
    SELECT kind, debit, credit, amount, owner_id, execution_id, root_id, graph_id, coalesce(node_key, ''), coalesce(item_path, '{}'), attempt, fence,
           coalesce(key, ''), coalesce(note, ''), by_id, now()
    FROM moved
), sides AS (
    SELECT credit AS id, amount AS change FROM moved
    UNION ALL
    SELECT debit, -amount FROM moved
)
UPDATE executions_account AS a SET balance_microcredits = a.balance_microcredits + its.change
FROM (SELECT id, sum(change)::bigint AS change FROM sides GROUP BY id) AS its
WHERE a.id = its.id AND a.owner_id IS NOT NULL AND its.change <> 0
