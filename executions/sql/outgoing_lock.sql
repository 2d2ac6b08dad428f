-- Lock the subscriptions of which attempts are written down.
-- Safe: all in one order, and before their deliveries, as whoever turns one off does.
SELECT id FROM executions_subscription WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE
