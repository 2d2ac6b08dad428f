-- Lock the budgets that executions count for: those of their outermost execution, of its graph, its API key and its owner.
-- Safe: budgets are locked before accounts and after everything else, in one order for all. Of one table only, without a join: of joined rows that
-- somebody else has changed meanwhile, some would be left out. What they say is read by a statement of its own, which sees what others have written
-- until the locks were ours.
SELECT id FROM executions_budget
WHERE id = ANY(ARRAY(
    SELECT b.id
    FROM executions_execution AS e
    LEFT JOIN executions_execution AS root ON root.id = e.root_id
    CROSS JOIN LATERAL (VALUES
        ('EXECUTION', coalesce(e.root_id, e.id)::text), ('GRAPH', coalesce(root.graph_id, e.graph_id)::text),
        ('API_KEY', coalesce(root.api_key, e.api_key)), ('OWNER', coalesce(root.owner_id, e.owner_id)::text)
    ) AS its (scope, scope_id)
    JOIN executions_budget AS b ON b.scope = its.scope AND b.scope_id = its.scope_id
    WHERE e.id = ANY(%(ids)s)
))
ORDER BY id FOR NO KEY UPDATE
