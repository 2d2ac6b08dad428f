-- The live events of an execution are numbered 1, 2, 3 and so on: none is missing, none is there twice.
-- Can not lie: numbers are committed all at once, in the turn of one process, and are never changed.
SELECT v.execution_id::text
FROM executions_liveevent AS v
WHERE v.execution_id >= %(since)s
GROUP BY v.execution_id
HAVING min(v.number) <> 1 OR max(v.number) <> count(*) OR count(DISTINCT v.number) <> count(*)
