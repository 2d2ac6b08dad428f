DROP TRIGGER a_status_that_passes_is_noted ON executions_execution;
DROP FUNCTION executions_note_status();
