-- Keep what is asked under a key, with the execution that is about to be started: `is_ours` says whether nobody else asks with it at this moment,
-- `is_kept` whether it has to be started. Where it is ours and not kept, the key is known already.
-- Safe: the lock lasts as long as the transaction. Whoever has it sees what the one before has committed: a conflict is found in rows newer than the
-- statement, too. Without the lock nothing is inserted, so nobody waits here for a row that is just being written.
WITH mine AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(%(owner_id)s, hashtext(%(key)s)) AS is_ours
), kept AS (
    INSERT INTO executions_startkey (owner_id, key, digest, execution_id, created_at)
    SELECT %(owner_id)s, %(key)s, %(digest)s, %(execution_id)s, %(now)s FROM mine WHERE is_ours
    ON CONFLICT (owner_id, key) DO UPDATE
    SET digest = excluded.digest, execution_id = excluded.execution_id, created_at = excluded.created_at
    WHERE executions_startkey.created_at <= %(over)s
    RETURNING key
)
SELECT is_ours, EXISTS (SELECT FROM kept) AS is_kept FROM mine
