-- Write how attempts of claimed firings ended: for good, or to be continued (PENDING until a moment, WAITING for somebody).
-- Safe: a row is written only with the fence it was claimed with, which nobody else was ever given; the caller compares the count and rolls
-- everything back if one is missing. What runs is told by its lease, and that few are given by a limit without a number: else the planner, whose statistics
-- are of a quieter hour, reads all that run to find these.
UPDATE executions_nodeexecution AS mine
SET status = f.status, attempt = f.attempt, due_at = now() + make_interval(secs => f.due_in_s), waits = mine.waits + f.waits,
    outputs = f.outputs, error_code = f.error_code, error_message = f.error_message, error_hint = f.error_hint,
    usage = f.usage, cost_microcredits = f.cost_microcredits, child_cost_microcredits = f.child_cost_microcredits,
    child_input_tokens = f.child_input_tokens, child_output_tokens = f.child_output_tokens, history = mine.history || f.history,
    queued_at = f.queued_at, started_at = f.started_at, ended_at = f.ended_at, lease_expires_at = NULL
FROM (
    SELECT * FROM jsonb_to_recordset(%(ended)s::jsonb) AS f (
        execution_id uuid, node_key text, item_path int[], fence bigint, status text, attempt smallint, due_in_s float8, waits smallint,
        outputs jsonb, error_code text, error_message text, error_hint text, usage jsonb, cost_microcredits bigint,
        child_cost_microcredits bigint, child_input_tokens bigint, child_output_tokens bigint, history jsonb,
        queued_at timestamptz, started_at timestamptz, ended_at timestamptz
    )
    LIMIT (SELECT NULL::bigint)
) AS f
WHERE mine.execution_id = f.execution_id AND mine.node_key = f.node_key AND mine.item_path = f.item_path
  AND mine.fence = f.fence AND mine.lease_expires_at IS NOT NULL
