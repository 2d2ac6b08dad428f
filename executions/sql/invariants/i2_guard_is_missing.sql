-- Every partition has the trigger that refuses to change what has ended, switched on.
-- Can not lie: it reads the catalogue. What it proves holds for each row, also for statements that nobody has thought of.
SELECT leaf.relid::text
FROM (VALUES ('executions_execution'), ('executions_nodeexecution')) AS parent (name)
CROSS JOIN LATERAL pg_partition_tree(parent.name) AS leaf
WHERE leaf.isleaf AND NOT EXISTS (
    SELECT FROM pg_trigger AS t
    JOIN pg_proc AS f ON f.oid = t.tgfoid
    WHERE t.tgrelid = leaf.relid AND t.tgenabled IN ('O', 'A') AND f.proname = 'executions_refuse_change_after_end'
)
