-- Fences grow over all rows, and are larger than any that the release before gave out.
CREATE SEQUENCE executions_fence AS bigint START WITH 1000000;

-- Workers of the release before know none of these columns and keep writing rows.
ALTER TABLE executions_execution
    ALTER COLUMN priority SET DEFAULT 0, ALTER COLUMN parent_node SET DEFAULT '', ALTER COLUMN parent_path SET DEFAULT '{}',
    ALTER COLUMN call_key SET DEFAULT '', ALTER COLUMN depth SET DEFAULT 0, ALTER COLUMN plan_mark SET DEFAULT '',
    ALTER COLUMN is_paused SET DEFAULT false;
ALTER TABLE executions_nodeexecution
    ALTER COLUMN crashes SET DEFAULT 0, ALTER COLUMN waits SET DEFAULT 0, ALTER COLUMN history SET DEFAULT '[]',
    ALTER COLUMN child_cost_microcredits SET DEFAULT 0, ALTER COLUMN child_input_tokens SET DEFAULT 0,
    ALTER COLUMN child_output_tokens SET DEFAULT 0;

-- Large values lie beside the row as they are: compressing them, Postgres's way, takes ten times as long as writing them.
ALTER TABLE executions_execution ALTER COLUMN inputs SET STORAGE EXTERNAL, ALTER COLUMN outputs SET STORAGE EXTERNAL;
ALTER TABLE executions_nodeexecution ALTER COLUMN inputs SET STORAGE EXTERNAL, ALTER COLUMN outputs SET STORAGE EXTERNAL;
