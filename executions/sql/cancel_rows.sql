-- End the firings of executions that are to stop which nobody runs: suspended, to be begun again, or left behind by a worker that is gone.
-- With what their sub-graphs have cost; where one of those still runs, its end comes first.
-- Safe: the executions are locked, so nothing of them is claimed; a firing with a live lease is left to whoever holds it.
WITH children AS (
    SELECT parent_id, parent_node, parent_path, sum(cost_microcredits)::bigint AS cost,
           sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
           bool_or(status IN ('QUEUED', 'RUNNING', 'WAITING', 'CANCELLING')) AS is_going
    FROM executions_execution WHERE parent_id = ANY(%(ids)s)
    GROUP BY parent_id, parent_node, parent_path
), idle AS (
    SELECT n.execution_id, n.node_key, n.item_path, its.cost, its.input_tokens, its.output_tokens
    FROM executions_nodeexecution AS n
    LEFT JOIN children AS its ON its.parent_id = n.execution_id AND its.parent_node = n.node_key AND its.parent_path = n.item_path
    WHERE n.execution_id = ANY(%(ids)s) AND its.is_going IS NOT TRUE
      AND (n.status IN ('PENDING', 'WAITING') OR n.status = 'RUNNING' AND n.lease_expires_at < now())
)
UPDATE executions_nodeexecution AS n
SET status = 'CANCELLED', ended_at = now(), due_at = NULL, lease_expires_at = NULL, error_code = '', error_message = '', error_hint = '',
    child_cost_microcredits = coalesce(idle.cost, n.child_cost_microcredits),
    child_input_tokens = coalesce(idle.input_tokens, n.child_input_tokens),
    child_output_tokens = coalesce(idle.output_tokens, n.child_output_tokens)
FROM idle
WHERE n.execution_id = idle.execution_id AND n.node_key = idle.node_key AND n.item_path = idle.item_path
