-- No execution has started more sub-graphs, at all depths, than twice what it may start.
-- Can not lie: parents that start some at the same instant count each for itself, and may together start somewhat more.
SELECT e.root_id::text
FROM executions_execution AS e
WHERE e.root_id IS NOT NULL AND e.id >= %(since)s
GROUP BY e.root_id
HAVING count(*) > 2 * %(max_children)s::bigint
