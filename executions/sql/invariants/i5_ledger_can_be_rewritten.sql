-- The ledger has the triggers that refuse to change or remove what was written, one entry or all, switched on: not only for a replica.
-- Can not lie: it reads the catalogue.
SELECT name
FROM (VALUES ('an_entry_stays_as_it_was_written'), ('the_ledger_is_never_emptied')) AS needed (name)
WHERE NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = 'executions_ledgerentry'::regclass AND t.tgname = needed.name AND t.tgenabled IN ('O', 'A')
)
