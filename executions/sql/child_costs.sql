-- Add up what the sub-graphs of firings have cost, whichever attempt has started them. All of them have ended, or are stopped.
SELECT child.parent_id, child.parent_node, child.parent_path,
       sum(child.cost_microcredits)::bigint, sum(child.input_tokens)::bigint, sum(child.output_tokens)::bigint
FROM jsonb_to_recordset(%(callers)s::jsonb) AS c (parent_id uuid, parent_node text, parent_path int[])
JOIN executions_execution AS child
    ON child.parent_id = c.parent_id AND child.parent_node = c.parent_node AND child.parent_path = c.parent_path
GROUP BY child.parent_id, child.parent_node, child.parent_path
