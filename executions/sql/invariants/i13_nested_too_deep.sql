-- No execution stands deeper below its root than executions may be nested.
-- Can not lie: the depth is written once, with the row.
SELECT e.id::text
FROM executions_execution AS e
WHERE e.depth > %(max_depth)s AND e.id >= %(since)s
