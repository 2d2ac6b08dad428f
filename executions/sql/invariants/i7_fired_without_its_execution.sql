-- Each time that was fired has its execution, of its schedule's graph and owner.
-- Can not lie: both are written in one transaction. Months of executions may be dropped before what became of times is, so what is older than the oldest
-- execution there is proves nothing; where there is none, nothing was dropped but everything was.
SELECT f.id::text
FROM executions_fire AS f
JOIN executions_schedule AS s ON s.id = f.schedule_id
LEFT JOIN executions_execution AS e ON e.id = f.execution_id
WHERE f.id >= %(since)s AND f.status = 'FIRED' AND (
    f.execution_id IS NULL
    OR e.id IS NULL AND f.execution_id > coalesce(
        (SELECT id FROM executions_execution ORDER BY id LIMIT 1), '00000000-0000-0000-0000-000000000000'
    )
    OR e.graph_id <> s.graph_id
    OR e.owner_id <> s.owner_id
)
