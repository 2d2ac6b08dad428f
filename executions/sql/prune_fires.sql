-- Remove what is known of times of before a moment, the oldest first; what still waits stays.
-- Safe: an id is also the time of birth, so nothing that is being written is among them; what somebody else removes or changes just now is left to him.
DELETE FROM executions_fire
WHERE id IN (
    SELECT id FROM executions_fire
    WHERE id < %(before)s AND status <> 'QUEUED'
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
