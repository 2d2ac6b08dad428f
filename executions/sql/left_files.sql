-- Find the files whose firings never said that they wrote them, and never will: their executions have ended, or are not there any more.
-- Safe: what has ended settles nothing more, and the end of an execution and what is kept of it are committed together.
SELECT f.id FROM files_file AS f
WHERE NOT f.is_kept AND NOT EXISTS (
    SELECT FROM executions_execution AS e
    WHERE e.id = f.execution_id AND e.status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED')
)
LIMIT %(limit)s
