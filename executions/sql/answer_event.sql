-- Answer every wait of an owner for an event, and let the firings go on.
-- Safe: the executions are locked before their waits are, in one order, and an update of a wait that is not open any more changes nothing. Nothing is
-- skipped, as an event comes once.
WITH asked AS (
    SELECT w.id, w.execution_id FROM executions_wait AS w
    WHERE w.owner_id = %(owner_id)s AND w.event = %(event)s AND w.kind = 'EVENT' AND w.status = 'OPEN'
      AND (w.due_at IS NULL OR w.due_at > now()) AND (w.data = 'null' OR %(payload)s::jsonb @> w.data)
), going AS (
    SELECT e.id FROM executions_execution AS e
    WHERE e.id IN (SELECT execution_id FROM asked) AND e.status IN ('RUNNING', 'WAITING') AND NOT e.is_stopping
    ORDER BY e.id FOR NO KEY UPDATE
), closed AS (
    UPDATE executions_wait AS w
    SET status = 'ANSWERED', answer = %(payload)s::jsonb, answered_at = now()
    FROM asked JOIN going ON going.id = asked.execution_id
    WHERE w.id = asked.id AND w.status = 'OPEN'
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
FROM (SELECT execution_id, count(*) AS firings FROM woken GROUP BY execution_id) AS its
WHERE e.id = its.execution_id
RETURNING e.id, its.firings
