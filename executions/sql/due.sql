-- Find executions with a firing whose pause is over, and mark them as sent now.
-- Safe: the claim decides who runs it; the grace only keeps one that still stands in line from being sent with every round. What is paused is left out
-- before the limit, so that it can not stand in the way of the rest.
WITH due AS (
    SELECT DISTINCT e.id FROM executions_nodeexecution AS n JOIN executions_execution AS e ON e.id = n.execution_id
    WHERE n.status = 'PENDING' AND n.due_at <= now()
      AND e.status IN ('RUNNING', 'WAITING') AND NOT e.is_paused AND NOT e.is_stopping
      AND (e.launched_at IS NULL OR e.launched_at < now() - %(grace)s)
    LIMIT %(limit)s
), locked AS (
    SELECT e.id FROM executions_execution AS e JOIN due ON due.id = e.id
    WHERE e.status IN ('RUNNING', 'WAITING') AND NOT e.is_paused AND NOT e.is_stopping
      AND (e.launched_at IS NULL OR e.launched_at < now() - %(grace)s)
    FOR UPDATE OF e SKIP LOCKED
)
UPDATE executions_execution AS e
SET launched_at = now()
FROM locked WHERE e.id = locked.id
RETURNING e.id
