-- Note on the execution what a settle has completed, and take its lock: of two that settle at once, the second sees what the first has done.
-- The first error stands. Segments are added only to those that were counted by the same cut of the plan: in another they bear other numbers. Returns nothing if the execution is not going on any more: then the caller rolls back.
UPDATE executions_execution
SET segments_done = CASE WHEN plan_mark IN ('', %(mark)s) THEN segments_done || %(segments)s::smallint[] ELSE segments_done END,
    is_stopping = is_stopping OR %(is_failing)s,
    error_code = CASE WHEN error_code = '' THEN %(error_code)s ELSE error_code END,
    error_message = CASE WHEN error_code = '' THEN %(error_message)s ELSE error_message END,
    error_hint = CASE WHEN error_code = '' THEN %(error_hint)s ELSE error_hint END,
    error_node = CASE WHEN error_code = '' THEN %(error_node)s ELSE error_node END
WHERE id = %(execution_id)s AND status IN ('RUNNING', 'WAITING')
RETURNING CASE WHEN plan_mark IN ('', %(mark)s) THEN segments_done END, is_stopping, is_paused,
    EXISTS (SELECT FROM executions_wait AS w WHERE w.execution_id = executions_execution.id AND w.status = 'OPEN') AS has_waits
