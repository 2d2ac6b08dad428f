-- Write down what came to a webhook, unless it came before.
-- Safe: the unique key lets one of many that come at the same time through; the others wait here until its transaction has ended, and then see it, or
-- take its place if it was rolled back.
INSERT INTO executions_delivery (
    id, webhook_id, key, is_named, digest, event, status, reason, message, execution_id, replay_of_id, payload, headers, size_bytes, hops,
    received_at
)
VALUES (
    %(id)s, %(webhook_id)s, %(key)s, %(is_named)s, %(digest)s, %(event)s, %(status)s, %(reason)s, %(message)s, %(execution_id)s, %(replay_of_id)s,
    %(payload)s::jsonb, %(headers)s::jsonb, %(size_bytes)s, %(hops)s, %(received_at)s
)
ON CONFLICT (webhook_id, key) DO NOTHING
RETURNING id
