-- Take the leases of firings: new ones, those whose lease has run out, and those whose pause is over. Begins each execution that nobody has begun.
-- Safe: the key (execution, node, path) lets one of two inserters win; the loser sees a live lease and takes nothing. The execution rows
-- are locked for share, so no claim slips past a worker that is just stopping one, or a person who cancels it. A claim lost in a crash is harmless
-- where a firing may be repeated, and then need not wait for the disk. After such a crash the sequence too may begin again where it was: so chance has a
-- part in every fence, and none is given out twice. Whose answer was lost asks again with the same mark, finds it in the fences that it was given, and
-- takes its own firings once more. What workers were lost with again and again is not to blame for the next loss before it has been begun: another one
-- may end the worker while this one is only claimed. Who takes over notes the fence of the loser, so that a worker that was only slow can have it
-- struck out again (vouch.sql).
WITH relaxed AS MATERIALIZED (
    SELECT set_config('synchronous_commit', CASE WHEN %(is_relaxed)s THEN 'off' ELSE current_setting('synchronous_commit') END, true)
), begun AS (
    UPDATE executions_execution SET status = 'RUNNING', started_at = coalesce(started_at, now()), resumed_at = now()
    WHERE id = ANY(%(ids)s) AND status IN ('QUEUED', 'WAITING') AND NOT is_stopping AND NOT is_paused AND (SELECT true FROM relaxed)
    RETURNING id
), going AS (
    -- A row that another claim has just begun is seen as QUEUED here and re-checked as RUNNING once its lock is ours.
    SELECT id FROM executions_execution
    WHERE id = ANY(%(ids)s) AND status IN ('QUEUED', 'RUNNING', 'WAITING') AND NOT is_stopping AND NOT is_paused
    ORDER BY id FOR SHARE
)
INSERT INTO executions_nodeexecution AS mine (
    id, execution_id, node_key, item_path, status, attempt, crashes, fence, lease_expires_at, worker, waits, inputs, outputs, missing_pins,
    error_code, error_message, error_hint, usage, cost_microcredits, child_cost_microcredits, child_input_tokens, child_output_tokens,
    history, queued_at, started_at
)
SELECT f.id, e.id, f.node_key, f.item_path, 'RUNNING', 1, 0, (nextval('executions_fence') << 20) + f.mark, now() + %(lease)s, %(worker)s::text, 0, f.inputs, '{}', '{}',
       '', '', '', '{}', 0, 0, 0, 0, '[]', now(), now()
FROM (SELECT id FROM begun UNION SELECT id FROM going) AS e
JOIN jsonb_to_recordset(%(firings)s::jsonb) AS f (id uuid, execution_id uuid, node_key text, item_path int[], mark bigint, inputs jsonb)
    ON f.execution_id = e.id
-- What is held or has ended is left out before it is touched: waiting for its settle, which waits for the execution's lock, would be a deadlock.
WHERE NOT EXISTS (
    SELECT FROM executions_nodeexecution AS n
    WHERE n.execution_id = f.execution_id AND n.node_key = f.node_key AND n.item_path = f.item_path
      AND NOT (
          n.status = 'RUNNING' AND (n.lease_expires_at < now() OR n.worker = %(worker)s::text AND n.fence & 1048575 = f.mark)
          OR n.status = 'PENDING' AND n.due_at <= now()
      )
)
-- In one order for all, so that two claims of the same firings do not wait for each other.
ORDER BY e.id, f.node_key, f.item_path
ON CONFLICT (execution_id, node_key, item_path) DO UPDATE
    SET status = 'RUNNING', fence = excluded.fence, lease_expires_at = excluded.lease_expires_at, worker = excluded.worker,
        due_at = NULL, started_at = now(),
        (attempt, crashes, lost_fences, is_to_blame) = (
            SELECT mine.attempt + was_lost::int, mine.crashes + was_lost::int,
                   CASE WHEN was_lost THEN array_append(mine.lost_fences, mine.fence) ELSE mine.lost_fences END,
                   coalesce(cardinality(mine.lost_fences), 0) + was_lost::int <> %(suspected)s
            FROM (
                SELECT mine.status = 'RUNNING' AND mine.is_to_blame
                   AND NOT (mine.worker = excluded.worker AND mine.fence & 1048575 = excluded.fence & 1048575) AS was_lost
            ) AS before
        )
    WHERE mine.status = 'RUNNING'
          AND (mine.lease_expires_at < now() OR mine.worker = excluded.worker AND mine.fence & 1048575 = excluded.fence & 1048575)
       OR mine.status = 'PENDING' AND mine.due_at <= now()
RETURNING execution_id, node_key, item_path, fence, attempt, crashes, coalesce(cardinality(lost_fences), 0), waits, usage, cost_microcredits
