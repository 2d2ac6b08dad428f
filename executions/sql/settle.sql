-- Write how claimed firings ended.
-- Safe: a row is written only with the fence it was claimed with; the caller compares the count and rolls everything back if one is missing.
UPDATE executions_nodeexecution AS mine
SET status = f.status, outputs = f.outputs, error_code = f.error_code, error_message = f.error_message, error_hint = f.error_hint,
    usage = f.usage, cost_microcredits = f.cost_microcredits, queued_at = f.queued_at, started_at = f.started_at, ended_at = f.ended_at,
    lease_expires_at = NULL
FROM jsonb_to_recordset(%(ended)s::jsonb) AS f (
    execution_id uuid, node_key text, item_path int[], fence int, status text, outputs jsonb, error_code text, error_message text,
    error_hint text, usage jsonb, cost_microcredits bigint, queued_at timestamptz, started_at timestamptz, ended_at timestamptz
)
WHERE mine.execution_id = f.execution_id AND mine.node_key = f.node_key AND mine.item_path = f.item_path
  AND mine.fence = f.fence AND mine.status = 'RUNNING'
