-- Read a webhook with what is needed to take a delivery: whether its owner may log in, and the version of its graph that is started, unless that was put away.
-- Safe: it only reads. Who publishes or turns off at the same moment may be seen or not, as if he had come a moment later.
SELECT w.id, w.graph_id, w.owner_id, w.scheme, w.secret, w.previous_secret, w.previous_until, w.events, w.mapping,
       w.event_name, w.is_enabled, u.is_active,
       (SELECT v.id FROM graphs_graphversion AS v JOIN graphs_graph AS g ON g.id = v.graph_id
        WHERE v.graph_id = w.graph_id AND v.published_at IS NOT NULL AND NOT g.is_archived ORDER BY v.number DESC LIMIT 1)
FROM executions_webhook AS w
JOIN auth_user AS u ON u.id = w.owner_id
WHERE w.id = %(id)s
