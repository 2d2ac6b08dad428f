-- Read which versions run executions as their sub-graphs, however far above. Only where there is somebody above: most executions have nobody.
-- They are found first and their callers then, each by its key, whatever the planner believes of how many sub-graphs there are.
WITH RECURSIVE asked AS MATERIALIZED (
    SELECT id, parent_id FROM executions_execution WHERE id = ANY(%(ids)s)
), callers AS (
    SELECT asked.id, c.parent_id, c.version_id FROM asked JOIN executions_execution AS c ON c.id = asked.parent_id
    UNION ALL
    SELECT callers.id, c.parent_id, c.version_id FROM callers JOIN executions_execution AS c ON c.id = callers.parent_id
)
SELECT id, array_agg(DISTINCT version_id) FROM callers GROUP BY id
