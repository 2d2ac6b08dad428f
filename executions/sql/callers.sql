-- Read which versions run executions as their sub-graphs, however far above. Only where there is somebody above: most executions have nobody.
WITH RECURSIVE callers AS (
    SELECT e.id, c.parent_id, c.version_id
    FROM executions_execution AS e JOIN executions_execution AS c ON c.id = e.parent_id
    WHERE e.id = ANY(%(ids)s)
    UNION ALL
    SELECT callers.id, c.parent_id, c.version_id FROM callers JOIN executions_execution AS c ON c.id = callers.parent_id
)
SELECT id, array_agg(DISTINCT version_id) FROM callers GROUP BY id
