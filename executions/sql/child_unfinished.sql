-- Find the sub-graphs of firings that have not ended.
SELECT child.parent_id, child.parent_node, child.parent_path, child.id, child.status
FROM jsonb_to_recordset(%(callers)s::jsonb) AS c (parent_id uuid, parent_node text, parent_path int[])
JOIN executions_execution AS child
    ON child.parent_id = c.parent_id AND child.parent_node = c.parent_node AND child.parent_path = c.parent_path
WHERE child.status IN ('QUEUED', 'RUNNING', 'WAITING', 'CANCELLING')
