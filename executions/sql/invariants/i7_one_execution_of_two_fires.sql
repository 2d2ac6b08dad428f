-- An execution is of one time of one schedule, and a time is fired once.
-- Can not lie: it compares rows of one table. What it finds can be there only while a key is missing.
SELECT unnest(array_agg(f.id::text ORDER BY f.id))
FROM executions_fire AS f
WHERE f.id >= %(since)s AND f.execution_id IS NOT NULL
GROUP BY f.execution_id
HAVING count(*) > 1
UNION ALL
SELECT unnest(array_agg(f.id::text ORDER BY f.id))
FROM executions_fire AS f
WHERE f.id >= %(since)s
GROUP BY f.schedule_id, f.fire_at
HAVING count(*) > 1
