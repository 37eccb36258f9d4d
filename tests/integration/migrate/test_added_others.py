"""Values of enum types, columns and tables that go in two stages, and SQL of one's own."""

from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops

import adding
import changing
from migrating import catalog_of

_TABLE = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE things (id int PRIMARY KEY, m mood, "Old One" text NOT NULL, other text NOT NULL,
    third int NOT NULL DEFAULT 3);
COMMENT ON COLUMN things."Old One" IS 'it''s old';
INSERT INTO things SELECT n, 'sad', 'old ' || n, 'other', 3 FROM generate_series(1, 50) n
"""
_COLUMNS = """Dropped("things", ("Old One", "other", "third"), required={"Old One": "''", "other": None})"""
_ALL = """Dropped("parts")"""
_ONCE = "CREATE UNIQUE INDEX things_once ON things ((other IS NULL)) WHERE other IS NULL"
_PARTS = """
CREATE TABLE parts (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
INSERT INTO parts VALUES (1, 'a')
"""


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        yield example


def test_a_value_of_an_enum_can_be_used_by_the_revision_after(live: changing.Example, dbops: Dbops) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "enums", """EnumValue("public.mood", "it's calm", after="sad")""")
    body = "def upgrade() -> None:\n    op.execute(\"UPDATE things SET m = 'it''s calm'\")\n"
    live.revision(3, body + "\n\ndef downgrade() -> None:\n    pass\n")
    ended = dbops("migrate", "up", "--yes", "--config", live.toml)
    assert ended.returncode == 0, ended.stderr
    assert live.execute("SELECT DISTINCT m::text FROM things") == [("it's calm",)]
    assert live.execute("SELECT enum_range(NULL::mood)::text[]") == [(["sad", "it's calm", "happy"],)]
    adding.unstamp(live, "2026_01_01_0001")
    assert dbops("migrate", "up", "--yes", "--config", live.toml).returncode == 0


def test_new_clients_do_without_the_columns_and_undo_closes_them_again(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.run(live)
    before = catalog_of(live.admin, comments=True)
    adding.shape(live, 2, "dropped", _COLUMNS)
    adding.run(live)
    live.execute("INSERT INTO things (id) VALUES (51)")
    assert live.execute('SELECT "Old One", other, third FROM things WHERE id = 51') == [("", None, 3)]
    with pytest.raises(Exception, match="is violated by some row"):
        adding.run(live, "downgrade", "-1")
    live.execute("UPDATE things SET other = '-' WHERE other IS NULL")
    adding.assert_nothing_scans_under_a_lock(adding.run(live, "downgrade", "-1"))
    assert catalog_of(live.admin, comments=True) == before


def test_columns_go_out_of_the_way_come_back_and_go_for_good(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "dropped", _COLUMNS)
    adding.run(live)
    live.execute("INSERT INTO things (id) VALUES (51)")
    before = live.execute("SELECT * FROM things ORDER BY id")
    told = catalog_of(live.admin, comments=True)['comment things."Old One"']
    contract, back = "changes._do(shape.contract(change))", "changes.put_back(change, shape)"
    adding.follow(live, 3, "dropped", _COLUMNS, up=contract, down=back)
    adding.follow(live, 4, "dropped", _COLUMNS, up="changes.remove(change, shape, '1 day')")
    adding.run(live, to="2026_01_01_0003")
    with pytest.raises(Exception, match='column "other" does not exist'):
        live.execute("SELECT other FROM things")
    live.execute("INSERT INTO things (id) VALUES (52)")
    adding.run(live, "downgrade", "-1")
    assert live.execute("SELECT * FROM things WHERE id < 52 ORDER BY id") == before
    assert catalog_of(live.admin, comments=True)['comment things."Old One"'] == told
    adding.run(live, to="2026_01_01_0003")
    with pytest.raises(Exception, match="is kept for 1 day"):
        adding.run(live)
    live.execute(
        "DO $$ DECLARE c record; BEGIN FOR c IN SELECT attname, col_description(attrelid, attnum)::jsonb AS told"
        " FROM pg_attribute WHERE attrelid = 'things'::regclass AND attname LIKE 'dbops_gone%' LOOP"
        " EXECUTE format('COMMENT ON COLUMN things.%I IS %L', c.attname,"
        " c.told || jsonb_build_object('since', now() - interval '2 days')); END LOOP; END $$"
    )
    adding.run(live)
    rows = live.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'things'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    assert rows == [("id",), ("m",)]


def test_what_stands_on_columns_that_went_refuses_no_row_and_comes_back(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    stands = "ALTER TABLE things ADD CHECK (coalesce(other, '') <> ''), ADD UNIQUE (other, id)"
    live.revision(2, f'def upgrade() -> None:\n    op.execute("{stands}")\n    op.execute("{_ONCE}")\n')
    adding.shape(live, 3, "dropped", _COLUMNS)
    adding.run(live)
    before = catalog_of(live.admin, comments=True)
    contract, back = "changes._do(shape.contract(change))", "changes.put_back(change, shape)"
    adding.follow(live, 4, "dropped", _COLUMNS, up=contract, down=back)
    adding.run(live)
    live.execute("INSERT INTO things (id) VALUES (52), (53)")
    live.execute("DELETE FROM things WHERE id IN (52, 53)")
    adding.run(live, "downgrade", "-1")
    after = catalog_of(live.admin, comments=True)
    differ = {name: (what, after[name]) for name, what in before.items() if after.get(name) != what}
    assert list(differ) == ['column things."Old One"', "column things.third"], "rows of meanwhile may lack a value"


def test_a_table_goes_to_the_attic_with_its_partitions_and_comes_back(live: changing.Example) -> None:
    adding.first(live, _PARTS + "; COMMENT ON TABLE parts IS 'those'")
    adding.run(live)
    before = catalog_of(live.admin, comments=True)
    contract, back = "changes._do(shape.contract(change))", "changes.put_back(change, shape)"
    adding.follow(live, 2, "dropped", _ALL, up=contract, down=back)
    adding.follow(live, 3, "dropped", _ALL, up="changes.remove(change, shape)")
    adding.run(live, to="2026_01_01_0002")
    assert live.execute("SELECT to_regclass('parts'), to_regclass('parts_1')") == [(None, None)]
    with pytest.raises(Exception, match="is kept for 14 days"):
        adding.run(live)
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin, comments=True) == before
    assert live.execute("SELECT a FROM parts_1") == [("a",)]
    live.execute("DELETE FROM parts")
    adding.run(live)
    rows = live.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'dbops_attic'::regnamespace")
    assert rows == [(0,)]


def test_sql_of_ones_own_runs_as_it_is(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.run(live)
    before = catalog_of(live.admin)
    text = """Plain(
    "things",
    up=(
        "ALTER TABLE things ADD n int DEFAULT '1'::int",
        Do("CREATE INDEX CONCURRENTLY things_n ON things (n)", alone=True),
    ),
    down=("ALTER TABLE things DROP n",),
)"""
    adding.shape(live, 2, "plain", text)
    adding.run(live)
    assert live.execute("SELECT DISTINCT n FROM things") == [(1,)]
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin) == before
