-- The ledger has the triggers that refuse to change or remove what was written, switched on.
-- Can not lie: it reads the catalogue.
SELECT name
FROM (VALUES ('an_entry_stays_as_it_was_written')) AS needed (name)
WHERE NOT EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = 'executions_ledgerentry'::regclass AND t.tgname = needed.name AND t.tgenabled <> 'D'
)
