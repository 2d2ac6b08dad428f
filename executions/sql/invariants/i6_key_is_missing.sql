-- The keys are there that let a delivery be taken once, and an execution be of one delivery.
-- Can not lie: it reads the catalogue.
SELECT wanted.name
FROM (VALUES ('a_delivery_is_taken_once'), ('an_execution_is_of_one_delivery')) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'executions_delivery'::regclass AND c.relname = wanted.name AND i.indisunique AND i.indisvalid
)
