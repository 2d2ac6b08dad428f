-- Every partition of executions, and the table of waits, has the triggers that tell subscribers, switched on; and an event is told to each once.
-- Can not lie: it reads the catalogue.
SELECT leaf.relid::text || ':' || wanted.function
FROM (VALUES
    ('executions_execution', 'executions_tell_of_execution', 1), ('executions_wait', 'executions_tell_of_wait', 2)
) AS wanted (name, function, count)
CROSS JOIN LATERAL (
    SELECT relid FROM pg_partition_tree(wanted.name) WHERE isleaf
    UNION
    SELECT c.oid::regclass FROM pg_class AS c WHERE c.oid = wanted.name::regclass AND c.relkind = 'r'
) AS leaf
WHERE wanted.count > (
    SELECT count(*) FROM pg_trigger AS t JOIN pg_proc AS f ON f.oid = t.tgfoid
    WHERE t.tgrelid = leaf.relid AND t.tgenabled IN ('O', 'A') AND f.proname = wanted.function
)
UNION ALL
SELECT 'an_event_is_told_to_each_once'
WHERE NOT EXISTS (
    SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'executions_outgoingdelivery'::regclass AND c.relname = 'an_event_is_told_to_each_once' AND i.indisunique AND i.indisvalid
)
