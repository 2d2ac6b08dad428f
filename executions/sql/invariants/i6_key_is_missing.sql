-- The keys are there that let a delivery, or an Idempotency-Key, be taken once, and an execution be of one of them.
-- Can not lie: it reads the catalogue.
SELECT wanted.name
FROM (VALUES ('executions_delivery', 'a_delivery_is_taken_once'), ('executions_delivery', 'an_execution_is_of_one_delivery'),
             ('executions_startkey', 'a_key_starts_one_execution'), ('executions_startkey', 'an_execution_has_one_start_key'),
             ('files_filekey', 'a_key_uploads_one_file'), ('files_filekey', 'a_file_has_one_key')) AS wanted (place, name)
WHERE NOT EXISTS (
    SELECT FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = wanted.place::regclass AND c.relname = wanted.name AND i.indisunique AND i.indisvalid
)
