-- End an execution and add up what its firings used. Final: the life cycle and a trigger let nobody change it afterwards.
UPDATE executions_execution
SET status = %(status)s, outputs = %(outputs)s::jsonb, ended_at = greatest(now(), started_at),
    segments_done = segments_done || %(segments)s::smallint[],
    input_tokens = used.input_tokens, output_tokens = used.output_tokens, cost_microcredits = used.cost_microcredits
FROM (
    SELECT coalesce(sum((usage ->> 'input_tokens')::bigint), 0) AS input_tokens,
           coalesce(sum((usage ->> 'output_tokens')::bigint), 0) AS output_tokens,
           coalesce(sum(cost_microcredits), 0) AS cost_microcredits
    FROM executions_nodeexecution WHERE execution_id = %(execution_id)s
) AS used
WHERE id = %(execution_id)s AND status = 'RUNNING'
RETURNING id
