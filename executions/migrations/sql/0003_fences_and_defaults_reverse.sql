DROP SEQUENCE executions_fence;
