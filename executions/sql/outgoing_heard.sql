-- Write down of subscriptions whether somebody listens there.
-- Safe: their locks are the caller's.
UPDATE executions_subscription AS s
SET failures = CASE WHEN f.is_heard THEN 0 ELSE s.failures + f.failed END, heard_at = CASE WHEN f.is_heard THEN now() ELSE s.heard_at END
FROM jsonb_to_recordset(%(rows)s::jsonb) AS f (id uuid, is_heard bool, failed int)
WHERE s.id = f.id
