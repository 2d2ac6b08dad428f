-- No execution has more firings than twice what it may have.
-- Can not lie: lanes that are at work side by side count each for itself, and may together begin somewhat more before one of them notices. Paths at which
-- nothing fired are not counted.
SELECT n.execution_id::text
FROM executions_nodeexecution AS n
WHERE n.started_at IS NOT NULL AND n.execution_id >= %(since)s
GROUP BY n.execution_id
HAVING count(*) > 2 * %(max_firings)s::bigint
