-- A schedule that is not paused has no time behind it of which nothing is known: it was fired, queued, skipped, missed or failed.
-- Can not lie: beat's process looks each second. What is due just now is given a grace.
SELECT s.id::text
FROM executions_schedule AS s
WHERE NOT s.is_paused AND s.due_at < statement_timestamp() - %(grace)s
