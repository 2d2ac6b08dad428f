-- No stored value is larger than a block may yield, and no firing has more of them.
-- Can not lie: a text is counted as the worker counts it. Of other values the database writes blanks and all the zeros of a number that the worker did not
-- count, hence the factor and the zeros left out. Only rows that take more room than one value may, or as many items must, are taken apart. A limit that
-- was lowered is passed by what came before: then look only at the last days.
SELECT n.execution_id || ':' || n.node_key || ':' || array_to_string(n.item_path, ',')
FROM executions_nodeexecution AS n
CROSS JOIN LATERAL jsonb_each(n.outputs) AS pin
WHERE pg_column_size(n.outputs) > least(%(max_output_bytes)s, %(max_items)s) AND jsonb_typeof(pin.value) = 'array' AND n.execution_id >= %(since)s
  AND (
    jsonb_array_length(pin.value) > %(max_items)s
    OR EXISTS (
        SELECT FROM jsonb_array_elements(pin.value) AS given (value)
        WHERE CASE jsonb_typeof(given.value)
              WHEN 'string' THEN octet_length(given.value #>> '{}') > %(max_output_bytes)s
              ELSE octet_length(regexp_replace(given.value::text, '0{6,}', '', 'g')) > 2 * %(max_output_bytes)s::bigint
              END
    )
  )
