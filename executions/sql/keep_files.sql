-- Keep what firings wrote that are settled here: without this, their files are removed after the end of the execution.
-- Safe: in the transaction of the settle, so a file is kept exactly if its firing says that it wrote it. One that was deleted meanwhile stays so.
UPDATE files_file SET is_kept = true WHERE id = ANY(%(ids)s)
