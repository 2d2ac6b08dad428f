-- What was ignored or refused has started nothing.
-- Can not lie: it looks at single rows, each of which is written once with its execution, or moves from refused to accepted with it.
SELECT d.id::text
FROM executions_delivery AS d
WHERE d.id >= %(since)s AND d.status <> 'ACCEPTED' AND d.execution_id IS NOT NULL
