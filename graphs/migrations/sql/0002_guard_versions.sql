-- Both ends of a link are nodes of the link's own version, and deleting a graph takes all that belongs to it along.
ALTER TABLE graphs_graphversion
    ADD CONSTRAINT a_version_goes_with_its_graph
    FOREIGN KEY (graph_id) REFERENCES graphs_graph (id) ON DELETE CASCADE;
ALTER TABLE graphs_node
    ADD CONSTRAINT a_node_goes_with_its_version
    FOREIGN KEY (version_id) REFERENCES graphs_graphversion (id) ON DELETE CASCADE;
ALTER TABLE graphs_link
    ADD CONSTRAINT a_link_goes_with_its_version
    FOREIGN KEY (version_id) REFERENCES graphs_graphversion (id) ON DELETE CASCADE,
    ADD CONSTRAINT a_link_starts_in_its_own_version
    FOREIGN KEY (version_id, source_id) REFERENCES graphs_node (version_id, id) ON DELETE CASCADE,
    ADD CONSTRAINT a_link_ends_in_its_own_version
    FOREIGN KEY (version_id, sink_id) REFERENCES graphs_node (version_id, id) ON DELETE CASCADE;

-- A published version never changes. It may go only when its graph is gone already, that is by the cascade above.
CREATE FUNCTION graphs_guard_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.published_at IS NOT NULL
       AND (TG_OP = 'UPDATE' OR EXISTS (SELECT FROM graphs_graph WHERE id = OLD.graph_id)) THEN
        RAISE EXCEPTION 'version % is published and can not be changed', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'a_published_version_never_changes';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;

CREATE TRIGGER a_published_version_never_changes
    BEFORE UPDATE OR DELETE ON graphs_graphversion
    FOR EACH ROW EXECUTE FUNCTION graphs_guard_version();

-- FOR SHARE: whoever publishes this version at the same moment waits, or is waited for and then seen.
CREATE FUNCTION graphs_guard_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whole uuid;
    frozen boolean;
BEGIN
    FOREACH whole IN ARRAY CASE TG_OP
        WHEN 'INSERT' THEN ARRAY[NEW.version_id]
        WHEN 'DELETE' THEN ARRAY[OLD.version_id]
        ELSE ARRAY[OLD.version_id, NEW.version_id]
    END LOOP
        SELECT published_at IS NOT NULL INTO frozen FROM graphs_graphversion WHERE id = whole FOR SHARE;
        IF frozen THEN
            RAISE EXCEPTION 'version % is published: its nodes and links can not be changed', whole
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'a_published_version_never_changes';
        END IF;
    END LOOP;
    RETURN COALESCE(NEW, OLD);
END $$;

CREATE TRIGGER a_node_of_a_published_version_never_changes
    BEFORE INSERT OR UPDATE OR DELETE ON graphs_node
    FOR EACH ROW EXECUTE FUNCTION graphs_guard_part();

CREATE TRIGGER a_link_of_a_published_version_never_changes
    BEFORE INSERT OR UPDATE OR DELETE ON graphs_link
    FOR EACH ROW EXECUTE FUNCTION graphs_guard_part();
