-- Remove what went out, or could not, of before a moment, the oldest first. What is still tried stays, but not what waits for an owner who may
-- not log in any more.
-- Safe: an id is also the time of birth, so nothing that is being written is among them; what somebody else removes or changes just now is left to him.
DELETE FROM executions_outgoingdelivery
WHERE id IN (
    SELECT id FROM executions_outgoingdelivery
    WHERE id < %(before)s AND (status <> 'PENDING' OR begun_at < now() - interval '30 days')
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
