-- Read what an owner could spend at the most, and what is left of the budgets that an execution of theirs would count for.
-- Safe: nothing is locked. It only refuses what could not be paid in any case: what is set aside just now may come back, so it counts as there.
SELECT 'CREDIT' AS scope, 'NONE' AS period, credit.balance_microcredits + coalesce(held.balance_microcredits, 0) + credit.overdraft_microcredits AS left
FROM executions_account AS credit
LEFT JOIN executions_account AS held ON held.id = %(held_id)s
WHERE credit.id = %(credit_id)s
UNION ALL
SELECT b.scope, b.period,
       b.limit_microcredits
       - CASE WHEN b.period = 'DAY' AND b.spent_on IS DISTINCT FROM (now() AT TIME ZONE 'utc')::date THEN 0 ELSE b.spent_microcredits END
FROM (VALUES ('GRAPH', %(graph_id)s::text), ('API_KEY', %(api_key)s::text), ('OWNER', %(owner_id)s::text)) AS its (scope, scope_id)
JOIN executions_budget AS b ON b.scope = its.scope AND b.scope_id = its.scope_id
