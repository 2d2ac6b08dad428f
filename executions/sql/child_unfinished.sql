-- Find the sub-graphs of firings that have not ended. OFFSET 0 has them looked up by their parent, and not among all that goes on.
SELECT child.parent_id, child.parent_node, child.parent_path, child.id, child.status
FROM jsonb_to_recordset(%(callers)s::jsonb) AS c (parent_id uuid, parent_node text, parent_path int[])
CROSS JOIN LATERAL (
    SELECT id, parent_id, parent_node, parent_path, status FROM executions_execution
    WHERE parent_id = c.parent_id AND parent_node = c.parent_node AND parent_path = c.parent_path
    OFFSET 0
) AS child
WHERE child.status IN ('QUEUED', 'RUNNING', 'WAITING', 'CANCELLING')
