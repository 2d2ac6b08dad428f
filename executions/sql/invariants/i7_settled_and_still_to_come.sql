-- What became of a time is known once the schedule has moved on from it, in the same transaction; nothing is known of times that are still to come.
-- Can not lie: both are one transaction, and whoever changes a schedule counts its next time from then. What somebody asked for is no time of it.
SELECT f.id::text
FROM executions_fire AS f
JOIN executions_schedule AS s ON s.id = f.schedule_id
WHERE f.id >= %(since)s AND NOT f.is_manual AND s.next_fire_at <= f.fire_at
