-- The keys are there that let a time be fired once, and an execution be of one time.
-- Can not lie: it reads the catalogue.
SELECT wanted.name
FROM (VALUES ('a_time_is_fired_once'), ('an_execution_is_of_one_fire')) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'executions_fire'::regclass AND c.relname = wanted.name AND i.indisunique AND i.indisvalid
)
