-- Keep what is asked under a key, with the id of what is about to be made: `is_ours` says whether nobody else asks with it at this moment,
-- `is_kept` whether it has to be made. Where it is ours and not kept, the key is known already. Which keys they are, `once.py` fills in.
-- Safe: the lock lasts as long as the transaction. Whoever has it sees what the one before has committed: a conflict is found in rows newer than the
-- statement, too. Without the lock nothing is inserted, so nobody waits here for a row that is just being written.
WITH mine AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(%(owner_id)s, hashtext(%(key)s)) AS is_ours
), kept AS (
    INSERT INTO KEYS_TABLE AS known (owner_id, key, digest, MADE_ID, created_at)
    SELECT %(owner_id)s, %(key)s, %(digest)s, %(made_id)s, %(now)s FROM mine WHERE is_ours
    ON CONFLICT (owner_id, key) DO UPDATE
    SET digest = excluded.digest, MADE_ID = excluded.MADE_ID, created_at = excluded.created_at
    WHERE known.created_at <= %(over)s
    RETURNING key
)
SELECT is_ours, EXISTS (SELECT FROM kept) AS is_kept FROM mine
