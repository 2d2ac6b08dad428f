-- End executions and add up what their firings used. Final: the life cycle and a trigger let nobody change it afterwards.
-- Safe: only what is under way ends, and none succeeds after a failure, or a cancellation, that a worker may not know of yet; the caller compares
-- the count and rolls everything back if one is missing. What failed for want of money says so by its status. Tells what its end sets free: the execution that started it, and those in line. Written for the planner as settle.sql is:
-- what is under way has not ended and is not queued.
UPDATE executions_execution AS e
SET status = CASE WHEN f.status = 'FAILED' AND e.error_code = 'BUDGET_EXCEEDED' THEN 'BUDGET_EXCEEDED' ELSE f.status END, outputs = f.outputs, ended_at = greatest(now(), e.started_at),
    segments_done = e.segments_done || f.segments,
    input_tokens = used.input_tokens, output_tokens = used.output_tokens, cost_microcredits = used.cost_microcredits
FROM (
    SELECT * FROM jsonb_to_recordset(%(finished)s::jsonb) AS f (execution_id uuid, status text, outputs jsonb, segments smallint[])
    LIMIT (SELECT NULL::bigint)
) AS f
CROSS JOIN LATERAL (
    SELECT coalesce(sum(coalesce((n.usage ->> 'input_tokens')::bigint, 0) + n.child_input_tokens), 0) AS input_tokens,
           coalesce(sum(coalesce((n.usage ->> 'output_tokens')::bigint, 0) + n.child_output_tokens), 0) AS output_tokens,
           coalesce(sum(n.cost_microcredits + n.child_cost_microcredits), 0) AS cost_microcredits
    FROM executions_nodeexecution AS n WHERE n.execution_id = f.execution_id
) AS used
WHERE e.id = f.execution_id AND e.ended_at IS NULL AND e.status <> 'QUEUED'
  AND NOT ((e.is_stopping OR e.status = 'CANCELLING') AND f.status = 'SUCCEEDED')
RETURNING e.id, e.parent_id,
    e.parent_id IS NULL AND EXISTS (
        SELECT FROM executions_execution WHERE status = 'QUEUED' AND launched_at IS NULL AND parent_id IS NULL AND NOT is_paused
    ) AS others_wait
