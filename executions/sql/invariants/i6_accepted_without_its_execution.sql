-- Each delivery that was accepted has its execution, of its webhook's graph and owner.
-- Can not lie: both are written in one transaction. Months of executions may be dropped before their deliveries are, so what is older than the oldest
-- execution there is proves nothing; where there is none, nothing was dropped but everything was.
SELECT d.id::text
FROM executions_delivery AS d
JOIN executions_webhook AS w ON w.id = d.webhook_id
LEFT JOIN executions_execution AS e ON e.id = d.execution_id
WHERE d.id >= %(since)s AND d.status = 'ACCEPTED' AND (
    d.execution_id IS NULL
    OR e.id IS NULL AND d.execution_id > coalesce(
        (SELECT id FROM executions_execution ORDER BY id LIMIT 1), '00000000-0000-0000-0000-000000000000'
    )
    OR e.graph_id <> w.graph_id
    OR e.owner_id <> w.owner_id
)
