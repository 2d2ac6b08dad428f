-- An id of the time now: 48 bits of milliseconds, then 12 bits of what is left of it (RFC 9562, 6.2, method 3), then randomness. What happens in one
-- millisecond has its order by id too: an execution may begin and end in it.
CREATE OR REPLACE FUNCTION executions_uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(
        overlay(
            uuid_send(gen_random_uuid())
            PLACING substring(int8send(microseconds / 1000) FROM 3) || int2send((28672 + microseconds % 1000 * 4096 / 1000)::int2)
            FROM 1 FOR 8
        ), 'hex'
    )::uuid
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS microseconds) AS clock
$$;
