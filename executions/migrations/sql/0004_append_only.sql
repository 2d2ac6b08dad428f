-- What was written into the ledger stays: whatever is wrong with it is put right by a further entry.
CREATE FUNCTION executions_refuse_to_rewrite_the_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % is refused', TG_OP
        USING ERRCODE = 'check_violation', CONSTRAINT = 'the_ledger_is_append_only';
END;
$$;

CREATE TRIGGER an_entry_stays_as_it_was_written
    BEFORE UPDATE OR DELETE ON executions_ledgerentry FOR EACH ROW
    EXECUTE FUNCTION executions_refuse_to_rewrite_the_ledger();

CREATE TRIGGER the_ledger_is_never_emptied
    BEFORE TRUNCATE ON executions_ledgerentry FOR EACH STATEMENT
    EXECUTE FUNCTION executions_refuse_to_rewrite_the_ledger();

-- Rows that change with every firing that costs something: room on their pages keeps their indexes out of it.
ALTER TABLE executions_account SET (fillfactor = 50);
ALTER TABLE executions_budget SET (fillfactor = 50);
