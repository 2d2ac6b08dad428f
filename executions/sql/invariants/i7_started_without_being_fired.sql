-- What was skipped, missed, failed or still waits has started nothing.
-- Can not lie: it looks at single rows, each of which is written once with its execution, or moves from queued to fired with it.
SELECT f.id::text
FROM executions_fire AS f
WHERE f.id >= %(since)s AND f.status <> 'FIRED' AND f.execution_id IS NOT NULL
