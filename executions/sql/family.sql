-- Find executions and all that they have started as sub-graphs, at any depth.
WITH RECURSIVE family AS (
    SELECT id FROM executions_execution WHERE id = ANY(%(ids)s)
    UNION
    SELECT child.id FROM family JOIN executions_execution AS child ON child.parent_id = family.id
)
SELECT id FROM family
