-- Write down what came of attempts: delivered, to be tried again, or given up as the time for it is over. Tells whether that was so for all the time.
-- Safe: an attempt writes only where none has been begun after it, and where nobody has given the delivery up meanwhile.
UPDATE executions_outgoingdelivery AS d
SET status = its.status, leased_until = NULL,
    next_at = CASE WHEN its.status = 'PENDING' THEN least(now() + make_interval(secs => its.pause_s), d.begun_at + %(window)s) END,
    ended_at = CASE WHEN its.status <> 'PENDING' THEN now() END,
    status_code = its.status_code, error_code = its.error_code, error_message = its.error_message, answer = its.answer,
    log = CASE WHEN jsonb_array_length(d.log) >= %(most_logged)s THEN d.log - 0 ELSE d.log END || jsonb_build_object(
        'at', now(), 'status_code', its.status_code, 'error_code', its.error_code, 'seconds', its.seconds
    )
FROM (
    SELECT o.id, s.heard_at, f.attempt, f.status_code, f.error_code, f.error_message, f.answer, f.pause_s, f.seconds, f.is_gone,
           CASE WHEN f.is_delivered THEN 'DELIVERED' WHEN f.is_gone OR now() >= o.begun_at + %(window)s THEN 'FAILED' ELSE 'PENDING' END AS status
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS f (
        id uuid, attempt int, is_delivered bool, is_gone bool, status_code smallint, error_code text, error_message text, answer text,
        pause_s float8, seconds float8
    )
    JOIN executions_outgoingdelivery AS o ON o.id = f.id
    JOIN executions_subscription AS s ON s.id = o.subscription_id
) AS its
WHERE d.id = its.id AND d.attempts = its.attempt AND d.status = 'PENDING'
RETURNING d.subscription_id, d.status, its.is_gone, d.status = 'FAILED' AND (its.heard_at IS NULL OR its.heard_at < d.begun_at) AS nobody_listens
