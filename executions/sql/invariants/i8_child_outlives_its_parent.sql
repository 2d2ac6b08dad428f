-- Where the firing or the execution that started a child has ended, the child ends soon.
-- Can not lie: whoever ends the parent cancels its children, and the grace is what a cancellation may take.
SELECT child.id::text
FROM executions_execution AS child
JOIN executions_execution AS parent ON parent.id = child.parent_id
LEFT JOIN executions_nodeexecution AS n
    ON n.execution_id = child.parent_id AND n.node_key = child.parent_node AND n.item_path = child.parent_path
WHERE child.status IN ('QUEUED', 'RUNNING', 'WAITING', 'CANCELLING') AND child.parent_id IS NOT NULL AND child.id >= %(since)s
  AND least(parent.ended_at, n.ended_at) < now() - %(grace)s
