-- Every partition has the key (execution, node, path), which lets a firing have one row.
-- Can not lie: it reads the catalogue. The key also holds across partitions, as they are cut by its first column.
SELECT leaf.relid::text
FROM pg_partition_tree('executions_nodeexecution') AS leaf
WHERE leaf.isleaf AND NOT EXISTS (
    SELECT FROM pg_index AS i
    WHERE i.indrelid = leaf.relid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND (
        SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
    ) = ARRAY['execution_id', 'node_key', 'item_path']
)
