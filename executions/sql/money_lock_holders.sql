-- Lock the credit of those for whose firings money is held: of all locks the last, in one order for all, as in `money_lock_credit`.
SELECT FROM executions_account
WHERE id = ANY(ARRAY(SELECT DISTINCT owner_id::bigint * 8 + 1 FROM executions_hold WHERE fence = ANY(%(fences)s)))
ORDER BY id FOR NO KEY UPDATE
