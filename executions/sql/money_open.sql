-- Open the accounts that the owners of executions do not have yet, and the platform's own.
-- Safe: the key lets one of two win; in one order for all, so that two who open the same do not wait for each other.
INSERT INTO executions_account (id, kind, owner_id, balance_microcredits, overdraft_microcredits, created_at)
SELECT its.id, its.kind, its.owner_id, 0, CASE WHEN its.kind = 'CREDIT' THEN %(overdraft)s::bigint END, now()
FROM (
    SELECT owner_id * 8 + number AS id, kind, owner_id
    FROM (SELECT unnest(%(owners)s::bigint[]) UNION SELECT owner_id FROM executions_execution WHERE id = ANY(%(ids)s::uuid[])) AS o (owner_id)
    CROSS JOIN (VALUES (1, 'CREDIT'), (2, 'HELD')) AS k (number, kind)
    UNION ALL
    VALUES (3::bigint, 'ISSUED', NULL::integer), (4, 'REVENUE', NULL), (5, 'WRITTEN_OFF', NULL)
) AS its (id, kind, owner_id)
WHERE NOT EXISTS (SELECT FROM executions_account AS a WHERE a.id = its.id)
ORDER BY its.id
ON CONFLICT (id) DO NOTHING
