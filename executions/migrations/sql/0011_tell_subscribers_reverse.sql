DROP TRIGGER subscribers_are_told_of_an_answer ON executions_wait;
DROP TRIGGER subscribers_are_told_of_a_question ON executions_wait;
DROP FUNCTION executions_tell_of_wait();
DROP TRIGGER subscribers_are_told_of_an_execution ON executions_execution;
DROP FUNCTION executions_tell_of_execution();
DROP FUNCTION executions_write_for_subscribers(integer, uuid, text, uuid, uuid, uuid, jsonb);
DROP FUNCTION executions_sendable(jsonb);
DROP FUNCTION executions_uuid7();
