-- What subscribers are told of an execution is so: it has begun, or ended as is told.
-- Can not lie: both are written in one transaction, and an end does not change. Executions may be dropped before what was told of them is.
SELECT d.id::text
FROM executions_outgoingdelivery AS d
JOIN executions_execution AS e ON e.id = d.execution_id
WHERE d.id >= %(since)s AND d.event LIKE 'execution.%%' AND CASE d.event
    WHEN 'execution.started' THEN e.started_at IS NULL
    ELSE 'execution.' || lower(e.status) <> d.event
END
