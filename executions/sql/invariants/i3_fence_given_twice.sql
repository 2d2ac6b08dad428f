-- No two firings bear the same fence.
-- Can not lie: a claim takes its fence from a sequence and writes it at once. What was claimed before there was one bears less than its first value.
WITH twice AS MATERIALIZED (
    SELECT n.fence
    FROM executions_nodeexecution AS n
    WHERE n.fence >= (SELECT seqstart FROM pg_sequence WHERE seqrelid = 'executions_fence'::regclass) AND n.execution_id >= %(since)s
    GROUP BY n.fence
    HAVING count(*) > 1
)
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN twice ON twice.fence = n.fence
WHERE n.execution_id >= %(since)s
