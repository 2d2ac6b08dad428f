-- Read where sub-graphs stand. Without a lock: what follows from it is guarded by their claims and settles.
SELECT e.id, e.graph_id, g.name, e.version_id, e.status, e.is_paused, e.segments_done, e.plan_mark, e.outputs,
       e.error_code, e.error_message, e.error_hint, e.error_node, e.cost_microcredits, e.input_tokens, e.output_tokens
FROM executions_execution AS e JOIN graphs_graph AS g ON g.id = e.graph_id
WHERE e.id = ANY(%(ids)s)
