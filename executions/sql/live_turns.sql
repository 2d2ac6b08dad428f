-- Take the turn to number the events of executions; what somebody else numbers just now is left out.
-- Safe: whoever has the turn looks in a statement of its own, so it sees all that was numbered before.
SELECT id FROM unnest(%(ids)s::uuid[]) AS asked (id) WHERE pg_try_advisory_xact_lock(hashtextextended(id::text, 5706420))
