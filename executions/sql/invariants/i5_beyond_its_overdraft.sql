-- The credit of nobody is below its overdraft.
-- Can not lie: a constraint refuses it; this finds the constraint gone.
SELECT id::text FROM executions_account
WHERE kind = 'CREDIT' AND balance_microcredits < -overdraft_microcredits
