-- Find executions and all that they have started as sub-graphs, at any depth. OFFSET 0 has each step looked up by its key, whatever the planner
-- believes of how many sub-graphs there are.
WITH RECURSIVE family AS (
    SELECT id FROM executions_execution WHERE id = ANY(%(ids)s)
    UNION
    SELECT child.id FROM family CROSS JOIN LATERAL (SELECT id FROM executions_execution WHERE parent_id = family.id OFFSET 0) AS child
)
SELECT id FROM family
