-- What the row of an execution does not remember is noted beside it, whoever changes it. One that just runs and ends pays for a comparison.
CREATE FUNCTION executions_note_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO executions_statusnote (execution_id, kind, at) VALUES (
        NEW.id,
        'execution.' || CASE
            WHEN NEW.is_paused AND NOT OLD.is_paused THEN 'paused'
            WHEN OLD.is_paused AND NOT NEW.is_paused THEN 'resumed'
            ELSE lower(NEW.status)
        END,
        now()
    );
    RETURN NULL;
END;
$$;

CREATE TRIGGER a_status_that_passes_is_noted
    AFTER UPDATE OF status, is_paused ON executions_execution FOR EACH ROW
    WHEN (
        OLD.is_paused <> NEW.is_paused
        OR OLD.status <> NEW.status AND (NEW.status IN ('WAITING', 'CANCELLING') OR OLD.status = 'WAITING' AND NEW.status = 'RUNNING')
    )
    EXECUTE FUNCTION executions_note_status();
