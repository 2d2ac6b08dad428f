-- What was held for a claim is held still, or has been paid and given back: nothing of it is gone.
-- Can not lie: whoever removes a hold moves all of it, in the same transaction.
SELECT held.fence::text
FROM (
    SELECT fence, sum(amount_microcredits) FILTER (WHERE kind = 'HOLD') AS taken,
           coalesce(sum(amount_microcredits) FILTER (WHERE kind = 'RELEASE' OR kind = 'SETTLE' AND mod(debit_id, 8) = 2), 0) AS used
    FROM executions_ledgerentry WHERE fence > 0 GROUP BY fence
) AS held
LEFT JOIN executions_hold AS h ON h.fence = held.fence
WHERE coalesce(held.taken, 0) <> held.used + coalesce(h.amount_microcredits, 0)
