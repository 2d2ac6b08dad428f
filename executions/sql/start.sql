-- Write a new execution: admitted at once where nobody can mind, else to wait for `admit`, which counts under a lock.
-- Safe: nobody is locked here, so starts of the same instant do not see each other. That is what the margin is for, and why it takes an execution that
-- stands by itself in its transaction: what a transaction holds back is not counted elsewhere. Whoever has others of his own in line stands behind them.
-- No row comes back for an owner who may not log in: this is the one place that every door comes through.
WITH mine AS MATERIALIZED (
    SELECT count(*) AS count FROM (
        SELECT FROM executions_execution
        WHERE owner_id = %(owner_id)s AND status IN ('QUEUED', 'RUNNING', 'CANCELLING') AND launched_at IS NOT NULL AND parent_id IS NULL
        LIMIT %(per_owner)s
    ) AS counted
), everybodys AS MATERIALIZED (
    SELECT count(*) AS count FROM (
        SELECT FROM executions_execution
        WHERE status IN ('QUEUED', 'RUNNING', 'CANCELLING') AND launched_at IS NOT NULL AND parent_id IS NULL
        LIMIT %(in_flight)s
    ) AS counted
), line AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM executions_execution
        WHERE owner_id = %(owner_id)s AND status = 'QUEUED' AND launched_at IS NULL AND parent_id IS NULL AND NOT is_paused
    ) AS is_there
), going AS MATERIALIZED (
    SELECT %(is_alone)s
        AND NOT line.is_there
        AND mine.count < %(per_owner)s - %(margin)s
        AND everybodys.count < %(in_flight)s - %(margin)s
        AND NOT EXISTS (SELECT FROM graphs_graph WHERE id = %(graph_id)s AND max_concurrent IS NOT NULL) AS at_once
    FROM mine, everybodys, line
)
INSERT INTO executions_execution (
    id, graph_id, version_id, owner_id, status, priority, parent_node, parent_path, call_key, depth, api_key, retried_from_id, inputs, outputs,
    segments_done, plan_mark, is_stopping, is_paused, error_code, error_message, error_hint, error_node,
    input_tokens, output_tokens, cost_microcredits, created_at, launched_at, launches
)
SELECT %(id)s, %(graph_id)s, %(version_id)s, %(owner_id)s, 'QUEUED', %(priority)s, '', '{}', '', 0, %(api_key)s, %(retried_from_id)s, %(inputs)s::jsonb, '{}',
       %(segments_done)s::smallint[], %(plan_mark)s, false, false, '', '', '', '',
       0, 0, 0, statement_timestamp(), CASE WHEN at_once THEN statement_timestamp() END, at_once::int
FROM going
WHERE EXISTS (SELECT FROM auth_user WHERE id = %(owner_id)s AND is_active)
RETURNING created_at, launched_at, launches, (SELECT mine.count < %(per_owner)s OR NOT line.is_there FROM mine, line) AS may_be_next
