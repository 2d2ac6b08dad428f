-- Write down a time of a schedule, unless somebody has.
-- Safe: the unique key lets one of several schedulers through; the others wait here until its transaction has ended, and then see it, or take its place
-- if it was rolled back.
INSERT INTO executions_fire (id, schedule_id, fire_at, is_manual, status, reason, message, execution_id, created_at)
VALUES (%(id)s, %(schedule_id)s, %(fire_at)s, %(is_manual)s, %(status)s, %(reason)s, %(message)s, %(execution_id)s, statement_timestamp())
ON CONFLICT (schedule_id, fire_at) DO NOTHING
RETURNING id
