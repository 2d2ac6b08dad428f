-- Remove what is not held any more. Its locks are the caller's.
DELETE FROM executions_hold WHERE fence = ANY(%(fences)s)
