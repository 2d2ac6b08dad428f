-- Count on budgets what was spent, and what is held; one that has begun a new day counts from nothing. Their locks are the caller's.
UPDATE executions_budget AS b
SET spent_microcredits = its.spent
        + CASE WHEN b.period = 'DAY' AND b.spent_on IS DISTINCT FROM (now() AT TIME ZONE 'utc')::date THEN 0 ELSE b.spent_microcredits END,
    held_microcredits = b.held_microcredits + its.held, spent_on = (now() AT TIME ZONE 'utc')::date
FROM jsonb_to_recordset(%(budgets)s::jsonb) AS its (id bigint, spent bigint, held bigint)
WHERE b.id = its.id
