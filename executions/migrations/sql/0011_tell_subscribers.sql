-- What happens to executions, and to the people they ask, is written down for those who subscribed, by whoever makes it happen and in his transaction: no
-- door can leave it out, and what is rolled back is told to nobody. Where nobody has subscribed, a status costs one look at an index.

-- An id of the time now, as `lib.ids` makes them.
CREATE FUNCTION executions_uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(
        set_bit(set_bit(overlay(
            uuid_send(gen_random_uuid()) PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6
        ), 52, 1), 53, 1), 'hex'
    )::uuid
$$;

-- A value, if it is small enough to be sent: what is larger is fetched by whoever wants it.
CREATE FUNCTION executions_sendable(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN pg_column_size(value) <= 65536 THEN CASE WHEN octet_length(value::text) <= 65536 THEN value END END
$$;

CREATE FUNCTION executions_write_for_subscribers(
    whose integer, its_graph uuid, happened text, subject uuid, its_execution uuid, outermost uuid, told jsonb
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO executions_outgoingdelivery (
        id, subscription_id, event, subject_id, execution_id, payload, hops, status, attempts, tries, next_at, begun_at,
        error_code, error_message, answer, log, created_at
    )
    SELECT executions_uuid7(), s.id, happened, subject, its_execution,
           jsonb_build_object('type', happened, 'timestamp', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'data', told),
           least(coalesce((SELECT d.hops FROM executions_delivery AS d WHERE d.execution_id = outermost), 0) + 1, 1001),
           'PENDING', 0, 0, now(), now(), '', '', '', '[]', now()
    FROM executions_subscription AS s
    WHERE s.owner_id = whose AND s.is_enabled AND (s.graph_id IS NULL OR s.graph_id = its_graph)
      AND (s.events = '{}' OR happened = ANY (s.events) OR split_part(happened, '.', 1) = ANY (s.events))
      AND EXISTS (SELECT FROM auth_user AS u WHERE u.id = whose AND u.is_active)
    -- Whoever turns it off or removes it just now is waited for; then it is looked at again.
    FOR KEY SHARE OF s
    ON CONFLICT (subscription_id, subject_id, event) DO NOTHING
$$;

CREATE FUNCTION executions_tell_of_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM executions_subscription WHERE owner_id = NEW.owner_id AND is_enabled) THEN
        RETURN NULL;
    END IF;
    PERFORM executions_write_for_subscribers(
        NEW.owner_id, NEW.graph_id,
        'execution.' || CASE NEW.status WHEN 'RUNNING' THEN 'started' ELSE lower(NEW.status) END,
        NEW.id, NEW.id, NEW.id,
        jsonb_build_object(
            'execution', NEW.id, 'graph', NEW.graph_id, 'graph_name', (SELECT name FROM graphs_graph WHERE id = NEW.graph_id),
            'version', NEW.version_id, 'status', NEW.status, 'retried_from', NEW.retried_from_id,
            'created_at', NEW.created_at, 'started_at', NEW.started_at, 'ended_at', NEW.ended_at,
            'input_tokens', NEW.input_tokens, 'output_tokens', NEW.output_tokens, 'cost_microcredits', NEW.cost_microcredits,
            'error', CASE WHEN NEW.error_code <> '' THEN jsonb_build_object(
                'code', NEW.error_code, 'message', left(NEW.error_message, 10000), 'hint', left(NEW.error_hint, 10000), 'node', NEW.error_node
            ) END,
            'outputs', executions_sendable(NEW.outputs),
            'left_out', CASE WHEN executions_sendable(NEW.outputs) IS NULL THEN '["outputs"]'::jsonb ELSE '[]'::jsonb END
        )
    );
    RETURN NULL;
END;
$$;

CREATE TRIGGER subscribers_are_told_of_an_execution
    AFTER UPDATE OF status ON executions_execution FOR EACH ROW
    WHEN (
        NEW.parent_id IS NULL AND OLD.status <> NEW.status
        AND (NEW.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'BUDGET_EXCEEDED') OR OLD.status = 'QUEUED' AND NEW.status = 'RUNNING')
    )
    EXECUTE FUNCTION executions_tell_of_execution();

CREATE FUNCTION executions_tell_of_wait() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    outermost executions_execution%ROWTYPE;
BEGIN
    IF NOT EXISTS (SELECT FROM executions_subscription WHERE owner_id = NEW.owner_id AND is_enabled) THEN
        RETURN NULL;
    END IF;
    SELECT root.* INTO outermost
    FROM executions_execution AS e JOIN executions_execution AS root ON root.id = coalesce(e.root_id, e.id)
    WHERE e.id = NEW.execution_id;
    PERFORM executions_write_for_subscribers(
        NEW.owner_id, outermost.graph_id,
        lower(NEW.kind) || '.' || CASE NEW.status WHEN 'OPEN' THEN 'requested' ELSE lower(NEW.status) END,
        NEW.id, NEW.execution_id, outermost.id,
        jsonb_build_object(
            'wait', NEW.id, 'kind', NEW.kind, 'status', NEW.status, 'title', NEW.title, 'execution', NEW.execution_id, 'root_execution', outermost.id,
            'graph', outermost.graph_id, 'graph_name', (SELECT name FROM graphs_graph WHERE id = outermost.graph_id),
            'node', NEW.node_key, 'item_path', NEW.item_path, 'created_at', NEW.created_at, 'due_at', NEW.due_at, 'on_timeout', NEW.timeout_action,
            'users', ARRAY(SELECT username FROM auth_user WHERE id = ANY (NEW.allowed_users) ORDER BY 1),
            'groups', ARRAY(SELECT name FROM auth_group WHERE id = ANY (NEW.allowed_groups) ORDER BY 1),
            'data', executions_sendable(NEW.data), 'form', executions_sendable(NEW.form), 'answer', executions_sendable(NEW.answer),
            'comment', NEW.comment, 'answered_at', NEW.answered_at,
            'answered_by', (SELECT username FROM auth_user WHERE id = NEW.answered_by_id),
            'left_out', to_jsonb(array_remove(ARRAY[
                CASE WHEN executions_sendable(NEW.data) IS NULL THEN 'data' END,
                CASE WHEN executions_sendable(NEW.form) IS NULL THEN 'form' END,
                CASE WHEN NEW.answer IS NOT NULL AND executions_sendable(NEW.answer) IS NULL THEN 'answer' END
            ], NULL))
        )
    );
    RETURN NULL;
END;
$$;

CREATE TRIGGER subscribers_are_told_of_a_question
    AFTER INSERT ON executions_wait FOR EACH ROW
    WHEN (NEW.kind IN ('APPROVAL', 'DECISION') AND NEW.status = 'OPEN')
    EXECUTE FUNCTION executions_tell_of_wait();

CREATE TRIGGER subscribers_are_told_of_an_answer
    AFTER UPDATE OF status ON executions_wait FOR EACH ROW
    WHEN (NEW.kind IN ('APPROVAL', 'DECISION') AND OLD.status = 'OPEN' AND NEW.status <> 'OPEN')
    EXECUTE FUNCTION executions_tell_of_wait();

-- As with other values: what makes large ones slow is that they are compressed.
ALTER TABLE executions_outgoingdelivery ALTER COLUMN payload SET STORAGE EXTERNAL;
