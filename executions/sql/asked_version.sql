-- Return what a start asks for: a version by its id, or the latest published one of a graph; with what an answer tells of both.
-- Safe: it only reads. A graph without a published version comes back without one.
SELECT graph.name, graph.is_archived, version.id, version.number
FROM graphs_graph AS graph
LEFT JOIN LATERAL (
    SELECT id, number FROM graphs_graphversion
    WHERE graph_id = graph.id AND published_at IS NOT NULL
    ORDER BY number DESC LIMIT 1
) AS version ON true
WHERE graph.id = %(graph_id)s AND graph.owner_id = %(owner_id)s
