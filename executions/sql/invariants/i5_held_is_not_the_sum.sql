-- What is held of an owner's credit is held for firings that can be named.
-- Can not lie: a hold is written and removed in the transaction that moves the money.
SELECT a.id::text
FROM executions_account AS a
LEFT JOIN (SELECT owner_id, sum(amount_microcredits) AS amount FROM executions_hold GROUP BY owner_id) AS held ON held.owner_id = a.owner_id
WHERE a.kind = 'HELD' AND a.balance_microcredits <> coalesce(held.amount, 0)
