-- What an attempt wrote that did not succeed is removed once its execution has ended.
-- Can not lie: upkeep looks each hour, and is given three; what is written too late by somebody who has lost the firing is given them, too.
SELECT f.id::text
FROM files_file AS f
JOIN executions_execution AS e ON e.id = f.execution_id
WHERE e.id >= %(since)s AND NOT f.is_kept AND e.ended_at < now() - interval '3 hours' AND f.created_at < now() - interval '3 hours'
