-- Let one worker at a time admit: whoever comes second waits, and then counts what the first has admitted.
SELECT pg_advisory_xact_lock(5706419)
