-- Write down what suspended firings wait for, in the transaction that suspends them.
-- Safe: a wait that is there already (its firing was suspended before, and then begun again by mistake) is left as it is.
INSERT INTO executions_wait (
    id, execution_id, owner_id, node_key, item_path, call_key, kind, status, title, form, data, is_editable, allowed_users,
    allowed_groups, timeout_action, due_at, event, child_id, comment, created_at
)
SELECT f.id, f.execution_id, e.owner_id, f.node_key, f.item_path, f.call_key, f.kind, 'OPEN', f.title, f.form, coalesce(f.data, 'null'),
       f.is_editable, f.allowed_users, f.allowed_groups, f.timeout_action, coalesce(f.due_at, now() + make_interval(secs => f.due_in_s)),
       f.event, f.child_id, '', now()
FROM jsonb_to_recordset(%(rows)s::jsonb) AS f (
    id uuid, execution_id uuid, node_key text, item_path int[], call_key text, kind text, title text, form jsonb, data jsonb,
    is_editable bool, allowed_users int[], allowed_groups int[], timeout_action text, due_at timestamptz, due_in_s float8, event text, child_id uuid
)
JOIN executions_execution AS e ON e.id = f.execution_id
ON CONFLICT (execution_id, node_key, item_path, call_key) DO NOTHING
