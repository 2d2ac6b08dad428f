-- All values of a firing together are no larger than one firing may yield.
-- Can not lie: counted as in the part for single values, and only rows that take more room than that are taken apart.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
WHERE pg_column_size(n.outputs) > %(max_firing_bytes)s AND n.execution_id >= %(since)s
  AND octet_length(regexp_replace(n.outputs::text, '0{6,}', '', 'g')) > 2 * %(max_firing_bytes)s::bigint + 1000
