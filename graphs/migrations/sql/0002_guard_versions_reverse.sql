DROP TRIGGER a_link_of_a_published_version_never_changes ON graphs_link;
DROP TRIGGER a_node_of_a_published_version_never_changes ON graphs_node;
DROP TRIGGER a_published_version_never_changes ON graphs_graphversion;
DROP FUNCTION graphs_guard_part();
DROP FUNCTION graphs_guard_version();
ALTER TABLE graphs_link
    DROP CONSTRAINT a_link_ends_in_its_own_version,
    DROP CONSTRAINT a_link_starts_in_its_own_version,
    DROP CONSTRAINT a_link_goes_with_its_version;
ALTER TABLE graphs_node DROP CONSTRAINT a_node_goes_with_its_version;
ALTER TABLE graphs_graphversion DROP CONSTRAINT a_version_goes_with_its_graph;
