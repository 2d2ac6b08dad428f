-- Let claims pay out of what is held for them, where that is enough for all of them and no budget counts it: what nearly every firing needs, in one
-- statement. Tells which have not paid; of those nothing is changed.
-- Safe: the credit of every owner in it is locked before anything is touched, of all locks the last, in one order for all, as in `money_lock_credit`.
-- Therefore all or none: for one that does more, budgets are locked next, and who has credit may not ask for a budget. What somebody else has taken away
-- meanwhile is found gone, and balances are changed as they stand then. Each firing is locked by its settle.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(%(fences)s::bigint[], %(costs)s::bigint[]) AS a (fence, cost)
), enough AS MATERIALIZED (
    SELECT h.owner_id FROM executions_hold AS h JOIN asked AS a ON a.fence = h.fence
    WHERE a.cost <= h.amount_microcredits AND h.budget_ids = '{}'
), locked AS MATERIALIZED (
    SELECT id FROM executions_account
    WHERE id = ANY(ARRAY(SELECT DISTINCT owner_id::bigint * 8 + 1 FROM enough))
      AND (SELECT count(*) FROM enough) = (SELECT count(*) FROM asked)
    ORDER BY id FOR NO KEY UPDATE
), gone AS (
    DELETE FROM executions_hold AS h USING asked AS a
    WHERE h.fence = a.fence AND a.cost <= h.amount_microcredits AND h.budget_ids = '{}' AND (SELECT count(*) FROM locked) > 0
    RETURNING h.*, a.cost, h.amount_microcredits - a.cost AS rest
), written AS (
    INSERT INTO executions_ledgerentry (
        kind, debit_id, credit_id, amount_microcredits, owner_id, execution_id, root_id, graph_id, node_key, item_path, attempt, fence,
        key, note, created_at
    )
    SELECT m.kind, g.owner_id::bigint * 8 + 2, m.credit, m.amount, g.owner_id, g.execution_id, g.root_id, g.graph_id, g.node_key, g.item_path,
           g.attempt, g.fence, '', '', now()
    FROM gone AS g CROSS JOIN LATERAL (VALUES ('SETTLE', 4, g.cost), ('RELEASE', g.owner_id::bigint * 8 + 1, g.rest)) AS m (kind, credit, amount)
    WHERE m.amount > 0
), changed AS (
    UPDATE executions_account AS a
    SET balance_microcredits = a.balance_microcredits + CASE a.id WHEN its.owner_id::bigint * 8 + 1 THEN its.rest ELSE -its.held END
    FROM (SELECT owner_id, sum(rest)::bigint AS rest, sum(amount_microcredits)::bigint AS held FROM gone GROUP BY owner_id) AS its
    WHERE a.id IN (its.owner_id::bigint * 8 + 1, its.owner_id::bigint * 8 + 2)
)
SELECT fence FROM asked WHERE fence NOT IN (SELECT fence FROM gone)
