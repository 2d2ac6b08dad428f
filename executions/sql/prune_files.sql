-- Find files of executions that are to go: those whose firings never said that they wrote them, and those older than is kept; locked, to be removed.
-- Safe: what has ended settles nothing more, and the end of an execution and what is kept of it are committed together. What somebody uses who has not
-- ended stays; whoever starts with one of them at this moment has it locked, or waits and then finds it gone.
SELECT f.id FROM files_file AS f
WHERE f.id IN (
    SELECT id FROM files_file WHERE NOT is_kept
    UNION ALL
    SELECT id FROM files_file WHERE id < %(before)s AND execution_id IS NOT NULL
) AND NOT EXISTS (
    SELECT FROM files_fileuse AS u
    JOIN executions_execution AS e ON e.id = u.execution_id
    WHERE u.file_id = f.id AND e.status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED')
)
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
