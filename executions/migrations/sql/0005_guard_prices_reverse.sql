DROP TRIGGER a_price_in_force_stays ON executions_tokenprice;
DROP FUNCTION executions_refuse_change_of_price();
