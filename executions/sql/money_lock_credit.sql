-- Lock the credit of owners, and of those whose executions these are: of all locks the last, in one order for all. Who has it may change what they
-- have held, too. What it says is read by a statement of its own, which sees what others have written until the locks were ours.
SELECT id FROM executions_account
WHERE id = ANY(ARRAY(
    SELECT owner_id::bigint * 8 + 1 FROM executions_execution WHERE id = ANY(%(ids)s::uuid[])
    UNION
    SELECT unnest(%(owners)s::bigint[]) * 8 + 1
))
ORDER BY id FOR NO KEY UPDATE
