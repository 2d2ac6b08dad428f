-- Remove deliveries of before a moment, the oldest first. One that was started once more stays as long as what came of that.
-- Safe: an id is also the time of birth, so nothing that is being written is among them; what somebody else removes or changes just now is left to him.
DELETE FROM executions_delivery
WHERE id IN (
    SELECT d.id FROM executions_delivery AS d
    WHERE d.id < %(before)s AND NOT EXISTS (SELECT FROM executions_delivery AS r WHERE r.replay_of_id = d.id AND r.id >= %(before)s)
    ORDER BY d.id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
