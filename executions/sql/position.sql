-- Tell where executions stand in the lines of their owners, as far as anybody counts.
SELECT id, place FROM (
    SELECT id, row_number() OVER (PARTITION BY owner_id ORDER BY priority DESC, id) AS place FROM executions_execution
    WHERE owner_id = ANY(%(owner_ids)s) AND status = 'QUEUED' AND launched_at IS NULL AND parent_id IS NULL AND NOT is_paused
) AS line
WHERE id = ANY(%(ids)s) AND place <= %(limit)s
