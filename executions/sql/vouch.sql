-- Strike the fences of a worker that lives out of those of workers that were lost: it has let these firings go, and did not end with them.
-- Return those that it has to speak for once more: nobody has taken them over yet, or their rows were locked, or it only hears the next time
-- that they are struck out.
-- Safe: what was struck out is not there to be struck out again. Nothing waits for a lock here, so there is no deadlock with those who settle.
WITH gone AS (
    SELECT * FROM jsonb_to_recordset(%(claims)s::jsonb) AS c (execution_id uuid, node_key text, item_path int[], fence bigint)
    LIMIT (SELECT NULL::bigint)
), held_against AS (
    SELECT n.execution_id, n.node_key, n.item_path, gone.fence
    FROM gone
    JOIN executions_nodeexecution AS n
        ON n.execution_id = gone.execution_id AND n.node_key = gone.node_key AND n.item_path = gone.item_path
    WHERE gone.fence = ANY(n.lost_fences) AND n.status IN ('RUNNING', 'PENDING', 'WAITING')
    FOR NO KEY UPDATE OF n SKIP LOCKED
), struck_out AS (
    UPDATE executions_nodeexecution AS mine
    SET lost_fences = array_remove(mine.lost_fences, held_against.fence)
    FROM held_against
    WHERE mine.execution_id = held_against.execution_id AND mine.node_key = held_against.node_key AND mine.item_path = held_against.item_path
)
SELECT n.execution_id, n.node_key, n.item_path, gone.fence
FROM gone
JOIN executions_nodeexecution AS n
    ON n.execution_id = gone.execution_id AND n.node_key = gone.node_key AND n.item_path = gone.item_path
WHERE n.fence = gone.fence AND n.status = 'RUNNING'
   OR gone.fence = ANY(n.lost_fences) AND n.status IN ('RUNNING', 'PENDING', 'WAITING')
