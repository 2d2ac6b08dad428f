-- The balance of an account is what its entries add up to, to the micro-credit.
-- Can not lie: one statement writes entries and what they make of the balance; entries can not be changed.
SELECT a.id::text
FROM executions_account AS a
LEFT JOIN (
    SELECT id, sum(change) AS change
    FROM (
        SELECT credit_id AS id, amount_microcredits AS change FROM executions_ledgerentry
        UNION ALL
        SELECT debit_id, -amount_microcredits FROM executions_ledgerentry
    ) AS sides
    GROUP BY id
) AS its ON its.id = a.id
WHERE a.owner_id IS NOT NULL AND a.balance_microcredits <> coalesce(its.change, 0)
