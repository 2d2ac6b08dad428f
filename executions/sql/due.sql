-- Find executions with a firing whose pause is over, and mark them as sent now.
-- Safe: the claim decides who runs it; the grace only keeps one that still stands in line from being sent with every round.
WITH due AS (
    SELECT DISTINCT n.execution_id AS id FROM executions_nodeexecution AS n
    WHERE n.status = 'PENDING' AND n.due_at <= now()
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
