-- Terminal is final: whatever code asks, a row that has ended keeps its status and what came out of it.
CREATE FUNCTION executions_refuse_change_after_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% % has ended as % and can not change', TG_ARGV[0], OLD.id, OLD.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'terminal_is_final';
END;
$$;

CREATE TRIGGER an_execution_that_has_ended_stays_so
    BEFORE UPDATE ON executions_execution FOR EACH ROW
    WHEN (OLD.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED'))
    EXECUTE FUNCTION executions_refuse_change_after_end('execution');

CREATE TRIGGER a_firing_that_has_ended_stays_so
    BEFORE UPDATE ON executions_nodeexecution FOR EACH ROW
    WHEN (OLD.status IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'INCOMPLETE', 'CANCELLED'))
    EXECUTE FUNCTION executions_refuse_change_after_end('node execution');
