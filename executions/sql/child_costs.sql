-- Add up what the sub-graphs of firings have cost, whichever attempt has started them. All of them have ended, or are stopped. OFFSET 0 as in child_unfinished.sql.
SELECT child.parent_id, child.parent_node, child.parent_path,
       sum(child.cost_microcredits)::bigint, sum(child.input_tokens)::bigint, sum(child.output_tokens)::bigint
FROM jsonb_to_recordset(%(callers)s::jsonb) AS c (parent_id uuid, parent_node text, parent_path int[])
CROSS JOIN LATERAL (
    SELECT parent_id, parent_node, parent_path, cost_microcredits, input_tokens, output_tokens FROM executions_execution
    WHERE parent_id = c.parent_id AND parent_node = c.parent_node AND parent_path = c.parent_path
    OFFSET 0
) AS child
GROUP BY child.parent_id, child.parent_node, child.parent_path
