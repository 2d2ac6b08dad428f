-- Find executions that have run for longer than they may. A wait, or a pause, begins the count anew.
SELECT id FROM executions_execution
WHERE status = 'RUNNING' AND launched_at IS NOT NULL AND NOT is_paused AND coalesce(resumed_at, started_at) < now() - %(at_most)s
LIMIT %(limit)s
