-- Close the waits whose time is over, and let their firings go on: a timer has what it waited for, everything else has waited in vain.
-- Safe: the execution is locked before its waits are, as whoever answers or cancels does, and an update of a wait that is not open any more changes
-- nothing: so of an answer and the end of the time, the first counts. What a settle holds at this moment is left to the next round.
WITH over AS (
    SELECT w.id, w.execution_id FROM executions_wait AS w JOIN executions_execution AS e ON e.id = w.execution_id
    WHERE w.status = 'OPEN' AND w.due_at <= now() AND e.status IN ('RUNNING', 'WAITING') AND NOT e.is_stopping
    ORDER BY w.due_at
    LIMIT %(limit)s
), going AS (
    SELECT e.id FROM executions_execution AS e
    WHERE e.id IN (SELECT execution_id FROM over) AND e.status IN ('RUNNING', 'WAITING') AND NOT e.is_stopping
    FOR NO KEY UPDATE SKIP LOCKED
), closed AS (
    UPDATE executions_wait AS w
    SET status = CASE w.kind WHEN 'TIMER' THEN 'ANSWERED' ELSE 'TIMED_OUT' END, answered_at = now()
    FROM over JOIN going ON going.id = over.execution_id
    WHERE w.id = over.id AND w.status = 'OPEN'
    RETURNING w.execution_id, w.node_key, w.item_path
), woken AS (
    UPDATE executions_nodeexecution AS n
    SET status = 'PENDING', due_at = now(), error_code = '', error_message = '', error_hint = ''
    FROM closed
    WHERE n.execution_id = closed.execution_id AND n.node_key = closed.node_key AND n.item_path = closed.item_path AND n.status = 'WAITING'
    RETURNING n.execution_id
)
UPDATE executions_execution AS e
SET launched_at = now()
FROM (SELECT DISTINCT execution_id FROM woken) AS its
WHERE e.id = its.execution_id
RETURNING e.id, e.is_paused
