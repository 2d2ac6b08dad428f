-- Count how often firings have failed before: only after that is a call begun anew. One that was cut short finds what it had started.
SELECT n.execution_id, n.node_key, n.item_path, (
    SELECT count(*) FROM jsonb_array_elements(n.history) AS earlier (entry) WHERE entry ->> 'code' <> ''
)
FROM jsonb_to_recordset(%(callers)s::jsonb) AS c (parent_id uuid, parent_node text, parent_path int[])
JOIN executions_nodeexecution AS n
    ON n.execution_id = c.parent_id AND n.node_key = c.parent_node AND n.item_path = c.parent_path
