-- What was paid or written off for a firing is what it cost.
-- Can not lie: the cost and the charge are written by one settle. What ran before there was a ledger was not charged.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
JOIN executions_execution AS e ON e.id = n.execution_id
LEFT JOIN (
    SELECT execution_id, node_key, item_path, sum(amount_microcredits) AS amount
    FROM executions_ledgerentry WHERE execution_id >= %(since)s AND kind IN ('SETTLE', 'EXCESS', 'WRITE_OFF')
    GROUP BY execution_id, node_key, item_path
) AS paid ON paid.execution_id = n.execution_id AND paid.node_key = n.node_key AND paid.item_path = n.item_path
WHERE n.execution_id >= %(since)s AND n.cost_microcredits <> coalesce(paid.amount, 0)
  AND (
      paid.amount IS NOT NULL
      OR e.created_at > (SELECT max(applied) FROM django_migrations WHERE app = 'executions' AND name = '0004_ledger')
  )
