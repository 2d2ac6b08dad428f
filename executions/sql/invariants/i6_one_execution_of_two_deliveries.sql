-- An execution is of one delivery, and a delivery is taken once.
-- Can not lie: it compares rows of one table. What it finds can be there only while a key is missing.
SELECT unnest(array_agg(d.id::text ORDER BY d.id))
FROM executions_delivery AS d
WHERE d.id >= %(since)s AND d.execution_id IS NOT NULL
GROUP BY d.execution_id
HAVING count(*) > 1
UNION ALL
SELECT unnest(array_agg(d.id::text ORDER BY d.id))
FROM executions_delivery AS d
WHERE d.id >= %(since)s
GROUP BY d.webhook_id, d.key
HAVING count(*) > 1
