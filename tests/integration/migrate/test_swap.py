"""A table is replaced under all that can hang on one: afterwards everything hangs on the new one, and back again."""

from collections.abc import Generator

import psycopg
import pytest
from psycopg import errors

from dbops.operations.migrate import catalog
from dbops.operations.migrate.shapes.replaced import Replaced

from replacing import CHANGE, Connection, different, do, fill, ready, run, swap, swap_back

SHAPE = Replaced(
    table="public.rooms",
    by="public.rooms_v2",
    create="CREATE TABLE public.rooms_v2 (LIKE public.rooms INCLUDING ALL)",
    key=("id",),
    same=("slug", "parent", "owner", "touched", "size"),
)
_WORLD = """
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE rooms (
    id serial PRIMARY KEY, slug text NOT NULL CONSTRAINT rooms_slug UNIQUE,
    parent int REFERENCES rooms ON DELETE CASCADE,
    owner int NOT NULL REFERENCES owners ON DELETE CASCADE, touched timestamptz, size int CHECK (size > 0));
CREATE INDEX rooms_owner ON rooms (owner) WHERE size > 1;
COMMENT ON TABLE rooms IS 'where things are';
COMMENT ON COLUMN rooms.slug IS 'in addresses';
ALTER TABLE rooms ALTER slug SET STATISTICS 250;
CREATE TABLE audit (at timestamptz DEFAULT clock_timestamp(), what text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.touched = '2026-01-01'::timestamptz + coalesce(NEW.size, 0) * interval '1 day'; RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON rooms FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO audit (what) VALUES (TG_TABLE_NAME || ' ' || TG_OP); RETURN NULL; END$$;
CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON rooms FOR EACH ROW EXECUTE FUNCTION told();
CREATE TABLE things (id int PRIMARY KEY, room int NOT NULL REFERENCES rooms ON DELETE CASCADE,
    spare int REFERENCES rooms (id)
    ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE days (room int REFERENCES rooms ON DELETE CASCADE, day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE days_old PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE days_new PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW large WITH (security_barrier) AS SELECT id, slug FROM rooms WHERE size > 3;
CREATE VIEW larger AS SELECT l.* FROM large l JOIN rooms AS inner_room USING (id);
CREATE MATERIALIZED VIEW per_owner AS SELECT owner, count(*) AS n FROM rooms GROUP BY owner;
CREATE UNIQUE INDEX per_owner_key ON per_owner (owner);
COMMENT ON MATERIALIZED VIEW per_owner IS 'counted';
CREATE VIEW owners_with AS SELECT * FROM per_owner WHERE n > 0;
CREATE MATERIALIZED VIEW nested AS SELECT p.n, r.id FROM per_owner p, rooms r WHERE r.owner = p.owner;
CREATE MATERIALIZED VIEW above AS SELECT count(*) AS n FROM large;
CREATE FUNCTION rooms_of(who int) RETURNS bigint LANGUAGE sql
    BEGIN ATOMIC SELECT count(*) FROM rooms WHERE owner = who; END;
CREATE RULE kept AS ON DELETE TO audit DO ALSO UPDATE rooms SET size = size WHERE false;
ALTER TABLE rooms ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON rooms USING (owner::text = current_setting('app.owner', true)
    OR EXISTS (SELECT FROM things t WHERE t.room = rooms.id AND t.spare = -1));
CREATE POLICY in_rooms ON things USING (EXISTS (SELECT FROM rooms w WHERE w.id = things.room));
CREATE PUBLICATION told_abroad FOR TABLE rooms (id, slug) WHERE (id > 1);
GRANT SELECT, INSERT ON rooms TO PUBLIC;
GRANT UPDATE (slug) ON rooms TO PUBLIC;
GRANT SELECT ON per_owner, large TO PUBLIC;
INSERT INTO owners VALUES (1), (2);
INSERT INTO rooms (slug, owner, size) SELECT 'r' || n, 1 + n % 2, n FROM generate_series(1, 20) n;
UPDATE rooms SET parent = 1 WHERE id > 10;
INSERT INTO things SELECT n, n, n FROM generate_series(1, 20) n;
INSERT INTO days SELECT n, '2025-12-22'::date + n FROM generate_series(1, 20) n;
REFRESH MATERIALIZED VIEW per_owner; REFRESH MATERIALIZED VIEW nested; REFRESH MATERIALIZED VIEW above;
"""


@pytest.fixture
def connection(database: str) -> Generator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        for statement in [_WORLD]:
            run(opened, statement)
        yield opened


def seen(connection: Connection) -> dict[str, object]:
    """All that there is but what a change itself put there: objects, rights, publications."""
    objects: dict[str, object] = {
        name: what.replace("rooms rooms", "rooms")  # the twin of a materialized view names its table twice
        for name, what in catalog.observe(connection, comments=True).items()
        if "rooms_v2" not in name and "~dbops" not in name
    }
    run(connection, "SET search_path = public")
    rights = """
        SELECT relname, grantee, privilege_type FROM pg_class, aclexplode(relacl)
         WHERE relnamespace = 'public'::regnamespace AND relname !~ 'rooms_v2|~dbops' ORDER BY 1, 2, 3"""
    published = "SELECT tablename, attnames::text, rowfilter FROM pg_publication_tables"
    return {
        **objects,
        "rights": run(connection, rights),
        "column rights": run(
            connection,
            "SELECT attname, attacl::text FROM pg_attribute WHERE attrelid = 'rooms'::regclass AND attacl IS NOT NULL",
        ),
        "published": run(connection, published),
        "statistics": run(
            connection, "SELECT attstattarget FROM pg_attribute WHERE attrelid = 'rooms'::regclass AND attname = 'slug'"
        ),
        "enabled": run(
            connection,
            "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'rooms'::regclass"
            " AND NOT tgisinternal AND tgname !~ '~' ORDER BY 1",
        ),
        "sequence": run(connection, "SELECT pg_get_serial_sequence('rooms', 'id')"),
        "oids": 0,
    }


def oid(connection: Connection, table: str) -> int:
    return run(connection, f"SELECT '{table}'::regclass::oid::int")[0][0]


def works(connection: Connection) -> None:
    """What applications do with it: keys hold, triggers act once, views and functions read the same rows."""
    run(connection, "TRUNCATE audit")
    run(connection, "INSERT INTO rooms (slug, owner, size) VALUES ('another', 1, 5)")
    run(
        connection,
        "INSERT INTO rooms (slug, owner, size) VALUES ('another', 1, 7)"
        " ON CONFLICT ON CONSTRAINT rooms_slug DO UPDATE SET size = excluded.size",
    )
    assert run(connection, "SELECT touched FROM rooms WHERE slug = 'another'") == run(
        connection, "SELECT '2026-01-08'::timestamptz"
    )
    assert run(connection, "SELECT what FROM audit") == [("rooms INSERT",), ("rooms UPDATE",)]
    assert run(connection, "SELECT count(*) FROM larger WHERE slug = 'another'") == [(1,)]
    run(connection, "INSERT INTO things SELECT 100, id, id FROM rooms WHERE slug = 'another'")
    run(connection, "REFRESH MATERIALIZED VIEW CONCURRENTLY per_owner")
    assert run(connection, "SELECT rooms_of(1) = n FROM owners_with WHERE owner = 1") == [(True,)]
    with pytest.raises(errors.ForeignKeyViolation):
        run(connection, "INSERT INTO things VALUES (101, 4711, NULL)")
    with pytest.raises(errors.ForeignKeyViolation):
        run(connection, "INSERT INTO days VALUES (4711, '2026-02-01')")
    run(connection, "DELETE FROM rooms WHERE slug = 'another'")
    assert run(connection, "SELECT count(*) FROM things WHERE id = 100") == [(0,)]


def test_all_that_hangs_on_the_table_follows_and_comes_back(connection: Connection) -> None:
    before = seen(connection)
    old = oid(connection, "rooms")
    do(connection, SHAPE.expand(CHANGE))
    works(connection)
    fill(connection, SHAPE)
    assert different(connection, SHAPE) == []
    new = oid(connection, "rooms_v2")
    for round_ in range(2):
        swap(connection, SHAPE)
        assert (oid(connection, "rooms"), oid(connection, "rooms_v2")) == (new, old), round_
        assert seen(connection) == before
        works(connection)
        swap(connection, SHAPE)
        assert oid(connection, "rooms") == new
        assert different(connection, SHAPE.after_swap()) == []
        swap_back(connection, SHAPE)
        assert oid(connection, "rooms") == old
        assert seen(connection) == before
        works(connection)
        assert different(connection, SHAPE) == []
    do(connection, SHAPE.undo(CHANGE))
    assert seen(connection) == before


def test_contracted_only_the_new_table_is_left(connection: Connection) -> None:
    before = seen(connection)
    do(connection, SHAPE.expand(CHANGE))
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="holds rows"):
        do(connection, SHAPE.contract(CHANGE))
    fill(connection, SHAPE)
    swap(connection, SHAPE)
    do(connection, SHAPE.contract(CHANGE))
    assert seen(connection) == before
    works(connection)
    left = (
        "SELECT count(*) FROM pg_class WHERE relname ~ 'dbops|_v2' AND relkind <> 'I'"
        " AND relnamespace <> 'dbops_attic'::regnamespace"
    )
    assert run(connection, left) == [(0,)]
    assert run(connection, "SELECT count(*) FROM pg_constraint WHERE conname ~ 'dbops'") == [(0,)]
    assert run(connection, "SELECT count(*) FROM pg_proc WHERE proname ~ 'dbops'") == [(0,)]


def test_on_a_fresh_database_the_contraction_does_it_all(connection: Connection) -> None:
    run(connection, "TRUNCATE rooms CASCADE")
    before = seen(connection)
    do(connection, SHAPE.expand(CHANGE))
    do(connection, SHAPE.contract(CHANGE))
    assert seen(connection) == before
    works(connection)


def test_what_was_made_ready_is_found_again_and_taken_back(connection: Connection) -> None:
    before = seen(connection)
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    statements = SHAPE.before_swap(CHANGE)
    for reached in range(1, len(statements) + 1):
        ready(connection, statements[:reached])
    works(connection)
    run(
        connection,
        "WITH no AS (INSERT INTO rooms (id, slug, owner) VALUES (99, 'x', 1)) INSERT INTO things VALUES (99, 99)",
    )
    run(connection, "DELETE FROM rooms WHERE id = 99")
    assert run(connection, "SELECT count(*) FROM things WHERE id = 99") == [(0,)]
    run(connection, "TRUNCATE rooms CASCADE")  # keys from empty tables forbid the same to the new one
    assert run(connection, "SELECT count(*) FROM rooms_v2") == [(0,)]
    do(connection, SHAPE.undo(CHANGE))
    assert seen(connection) == before
    left = "SELECT count(*) FROM pg_constraint WHERE conname ~ 'dbops|_2$'"
    assert run(connection, left) == [(0,)]


def test_nothing_is_read_while_the_names_are_exchanged(connection: Connection, database: str) -> None:
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    ready(connection, SHAPE.before_swap(CHANGE))
    reads = "SELECT relname FROM pg_stat_xact_user_tables WHERE seq_tup_read + coalesce(idx_tup_fetch, 0) > 0"
    with psycopg.connect(database) as fresh:  # which has counted nothing yet
        run(fresh, "SET search_path = public")
        for one in SHAPE.swap(CHANGE):
            run(fresh, one.sql)
        assert run(fresh, reads) == []
        run(fresh, "SELECT count(*) FROM owners")
        assert run(fresh, reads) == [("owners",)]


def test_what_came_after_all_was_made_ready_keeps_the_names_as_they_are(connection: Connection) -> None:
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    ready(connection, SHAPE.before_swap(CHANGE))
    run(connection, "CREATE TABLE newer (room int REFERENCES rooms)")
    run(connection, "CREATE MATERIALIZED VIEW newer_still AS SELECT id FROM rooms")
    before = oid(connection, "rooms")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"newer_room_fkey.*newer_still"):
        do(connection, SHAPE.swap(CHANGE))
    assert oid(connection, "rooms") == before
    swap(connection, SHAPE)
    assert oid(connection, "rooms") != before
