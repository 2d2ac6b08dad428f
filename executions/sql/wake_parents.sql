-- Let the firings go on that wait for sub-graphs of theirs, once one of these has ended: it may have made room for another.
-- Safe: the executions are locked before their waits are, in one order, and an update of a wait that is not open any more changes nothing; whether the
-- child has ended is asked here, and an end is final.
WITH over AS (
    SELECT w.id, w.execution_id FROM executions_execution AS child
    JOIN executions_wait AS w
        ON w.execution_id = child.parent_id AND w.node_key = child.parent_node AND w.item_path = child.parent_path
    WHERE child.id = ANY(%(children)s) AND w.kind = 'CHILD' AND w.status = 'OPEN'
      AND child.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED')
), going AS (
    SELECT e.id FROM executions_execution AS e
    WHERE e.id IN (SELECT execution_id FROM over) AND e.status IN ('RUNNING', 'WAITING') AND NOT e.is_stopping
    ORDER BY e.id FOR NO KEY UPDATE
), closed AS (
    UPDATE executions_wait AS w
    SET status = 'ANSWERED', answered_at = now()
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
RETURNING e.id
