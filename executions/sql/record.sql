-- Write firings that needed no claim of their own, as they only computed: ended for good, or to be begun again at a moment.
-- Safe: without ON CONFLICT, a row that somebody else has written rolls back the whole settle.
INSERT INTO executions_nodeexecution (
    id, execution_id, node_key, item_path, status, attempt, crashes, fence, worker, due_at, waits, inputs, outputs, missing_pins,
    error_code, error_message, error_hint, usage, cost_microcredits, child_cost_microcredits, child_input_tokens, child_output_tokens,
    history, queued_at, started_at, ended_at
)
SELECT f.id, f.execution_id, f.node_key, f.item_path, f.status, f.attempt, 0, 0, %(worker)s, now() + make_interval(secs => f.due_in_s), 0,
       f.inputs, f.outputs, '{}', f.error_code, f.error_message, f.error_hint, f.usage, f.cost_microcredits, 0, 0, 0,
       f.history, f.queued_at, f.started_at, f.ended_at
FROM jsonb_to_recordset(%(rows)s::jsonb) AS f (
    id uuid, execution_id uuid, node_key text, item_path int[], status text, attempt smallint, due_in_s float8, inputs jsonb, outputs jsonb,
    error_code text, error_message text, error_hint text, usage jsonb, cost_microcredits bigint, history jsonb,
    queued_at timestamptz, started_at timestamptz, ended_at timestamptz
)
