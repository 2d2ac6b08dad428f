-- What a subscription is to be told is sent soon after it is due, where somebody listens.
-- Can not lie: where none of its deliveries was heard within the grace and none of its owner is under way, nothing stands before it; and a subscription that is off,
-- whose last attempt has failed, or whose owner may not log in, is left out.
SELECT d.id::text
FROM executions_outgoingdelivery AS d
JOIN executions_subscription AS s ON s.id = d.subscription_id
JOIN auth_user AS u ON u.id = s.owner_id
WHERE d.id >= %(since)s AND d.status = 'PENDING' AND d.next_at < now() - %(grace)s AND (d.leased_until IS NULL OR d.leased_until < now() - %(grace)s)
  AND s.is_enabled AND s.failures = 0 AND u.is_active AND (s.heard_at IS NULL OR s.heard_at < now() - %(grace)s)
  AND NOT EXISTS (
      SELECT FROM executions_outgoingdelivery AS other JOIN executions_subscription AS its ON its.id = other.subscription_id
      WHERE its.owner_id = s.owner_id AND other.leased_until > now() - %(grace)s
  )
