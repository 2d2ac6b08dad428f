-- A child has its parent, stands one level below it, and has the same root.
-- Can not lie: a child is written after its parent and never moves; its id makes it live in its parent's month, so both are dropped together.
SELECT child.id::text
FROM executions_execution AS child
LEFT JOIN executions_execution AS parent ON parent.id = child.parent_id
WHERE child.id >= %(since)s AND (
    child.parent_id IS NOT NULL AND (
        parent.id IS NULL
        OR child.root_id IS DISTINCT FROM coalesce(parent.root_id, parent.id)
        OR child.depth <> parent.depth + 1
        OR child.owner_id <> parent.owner_id
    )
    OR child.parent_id IS NULL AND (child.root_id IS NOT NULL OR child.depth > 0)
)
