-- Money moves between accounts that are there, of one owner and the platform.
-- Can not lie: accounts are opened before anything is moved, and never removed.
SELECT entry.id::text
FROM executions_ledgerentry AS entry
LEFT JOIN executions_account AS debit ON debit.id = entry.debit_id
LEFT JOIN executions_account AS credit ON credit.id = entry.credit_id
WHERE debit.id IS NULL OR credit.id IS NULL
   OR coalesce(debit.owner_id, entry.owner_id) <> entry.owner_id OR coalesce(credit.owner_id, entry.owner_id) <> entry.owner_id
