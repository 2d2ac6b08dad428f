-- Take deliveries that are to be sent: fairly among owners, few at a time of each subscription, one of those that do not listen just now.
-- Safe: a row is locked while it is taken, and then leased for longer than an attempt may last, so two senders never send the same attempt; what a
-- sender leaves behind that has died is taken again when its lease is over. The number of the attempt is the fence of whatever is written of it.
WITH RECURSIVE waiting (subscription_id) AS (
    -- Each subscription that has something to send, by one look at the index: a flood for one of them is not read through.
    (SELECT d.subscription_id FROM executions_outgoingdelivery AS d WHERE d.status = 'PENDING' ORDER BY d.subscription_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.subscription_id FROM executions_outgoingdelivery AS d
        WHERE d.status = 'PENDING' AND d.subscription_id > w.subscription_id ORDER BY d.subscription_id LIMIT 1
    ) FROM waiting AS w WHERE w.subscription_id IS NOT NULL
), under_way AS MATERIALIZED (
    SELECT s.owner_id, d.subscription_id, count(*) AS count
    FROM executions_outgoingdelivery AS d JOIN executions_subscription AS s ON s.id = d.subscription_id
    WHERE d.leased_until > now() AND d.status = 'PENDING'
    GROUP BY s.owner_id, d.subscription_id
), due AS (
    SELECT found.id, s.owner_id, row_number() OVER (PARTITION BY s.owner_id ORDER BY random()) AS place
    FROM waiting
    JOIN executions_subscription AS s ON s.id = waiting.subscription_id AND s.is_enabled
    JOIN auth_user AS u ON u.id = s.owner_id AND u.is_active
    CROSS JOIN LATERAL (
        SELECT d.id FROM executions_outgoingdelivery AS d
        WHERE d.subscription_id = s.id AND d.status = 'PENDING' AND d.next_at <= now() AND (d.leased_until IS NULL OR d.leased_until <= now())
        ORDER BY d.next_at
        LIMIT greatest(CASE WHEN s.failures > 0 THEN 1 ELSE %(per_subscription)s END
            - coalesce((SELECT count FROM under_way WHERE subscription_id = s.id), 0), 0)
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS found
), chosen AS (
    SELECT id FROM due
    WHERE place <= %(per_owner)s - coalesce((SELECT sum(count) FROM under_way WHERE owner_id = due.owner_id), 0)
    ORDER BY place, random()
    LIMIT %(limit)s
)
UPDATE executions_outgoingdelivery AS d
SET attempts = d.attempts + 1, tries = d.tries + 1, leased_until = now() + %(lease)s
FROM chosen, executions_subscription AS s
WHERE d.id = chosen.id AND s.id = d.subscription_id
RETURNING d.id, d.subscription_id, s.owner_id, d.attempts, d.tries, s.url, s.secret,
    CASE WHEN s.previous_until > now() THEN s.previous_secret END, d.payload::text, d.hops
