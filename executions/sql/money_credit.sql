-- Read whose executions these are, and their credit, which the caller has locked.
SELECT e.id, e.owner_id, coalesce(e.root_id, e.id) AS root_id, e.graph_id, a.balance_microcredits, a.overdraft_microcredits
FROM executions_execution AS e
JOIN executions_account AS a ON a.id = e.owner_id::bigint * 8 + 1
WHERE e.id = ANY(%(ids)s)
