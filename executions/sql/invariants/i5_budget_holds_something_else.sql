-- What a budget counts as held is held for firings that count for it.
-- Can not lie: it is counted in the transaction that writes or removes the hold.
SELECT b.id::text
FROM executions_budget AS b
LEFT JOIN (
    SELECT budget_id, sum(amount_microcredits) AS amount
    FROM executions_hold CROSS JOIN unnest(budget_ids) AS budget_id GROUP BY budget_id
) AS held ON held.budget_id = b.id
WHERE b.held_microcredits <> coalesce(held.amount, 0)
