-- Read the budgets that executions count for, which the caller has locked.
SELECT e.id, b.id, b.scope, b.period, b.limit_microcredits, b.held_microcredits,
       CASE WHEN b.period = 'DAY' AND b.spent_on IS DISTINCT FROM (now() AT TIME ZONE 'utc')::date THEN 0 ELSE b.spent_microcredits END AS spent
FROM executions_execution AS e
LEFT JOIN executions_execution AS root ON root.id = e.root_id
CROSS JOIN LATERAL (VALUES
    ('EXECUTION', coalesce(e.root_id, e.id)::text), ('GRAPH', coalesce(root.graph_id, e.graph_id)::text),
    ('API_KEY', coalesce(root.api_key, e.api_key)), ('OWNER', coalesce(root.owner_id, e.owner_id)::text)
) AS its (scope, scope_id)
JOIN executions_budget AS b ON b.scope = its.scope AND b.scope_id = its.scope_id
WHERE e.id = ANY(%(ids)s) AND b.id = ANY(%(locked)s)
