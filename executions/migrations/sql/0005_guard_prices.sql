-- What was charged by a price must stay explainable: once in force it is neither changed nor removed, a later one takes its place.
CREATE FUNCTION executions_refuse_change_of_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the price of % % is in force since % and can not change', OLD.provider, OLD.model, OLD.valid_from
        USING ERRCODE = 'check_violation', CONSTRAINT = 'a_price_in_force_stays';
END;
$$;

CREATE TRIGGER a_price_in_force_stays
    BEFORE UPDATE OR DELETE ON executions_tokenprice FOR EACH ROW
    WHEN (OLD.valid_from <= now())
    EXECUTE FUNCTION executions_refuse_change_of_price();
