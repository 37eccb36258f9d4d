"""Names as they are in the wild: every look at a database finds what bears them."""

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from dbops.engine import clock
from dbops.engine.plan import Risk
from dbops.operations.migrate import ready as migrate
from dbops.operations.migrate.forecast import script
from dbops.operations.migrate.rehearse import load
from dbops.operations.migrate.shapes.replaced import Replaced

import adding
import changing
from replacing import CHANGE, different, do, fill, ready, run, swap

TABLE = '"Odd Schema"."Tab.le (old) %s"'
_TABLES = f'''
CREATE SCHEMA "Odd Schema";
CREATE TABLE {TABLE} ("Id %" numeric(9, 2), "it's" text,
    "a ""b"" {{c}}" text DEFAULT '%s', PRIMARY KEY ("it's", "Id %"));
CREATE INDEX "ix (1) %s" ON {TABLE} ("it's");
CREATE POLICY "po ""l"" (x)" ON {TABLE} USING ("Id %" > 0);
CREATE FUNCTION "f (x) ""y"""("a (b)" int) RETURNS int LANGUAGE sql RETURN 1;
CREATE VIEW "Odd Schema"."v ""1""." AS SELECT 1 AS one;
INSERT INTO {TABLE} SELECT n, 'n%' || n FROM generate_series(1, 50) n
'''


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        adding.first(example, _TABLES)
        assert adding.up(example) == ["2026_01_01_0001"]
        yield example


def test_what_a_stamp_promises_is_found_and_who_holds_rows_is_told(live: changing.Example) -> None:
    adding.shape(live, 2, "generated", f"Generated({TABLE!r}, 'new %', 'text', 'r.\"Id %\"::text')")
    with migrate.up(live.config, live.toml, changing.TARGET, live.run(), clock.now()) as ready:
        assert (ready.plan.risk, ready.plan.steps[-1].notes) == (
            Risk.BLOCKS,
            ("takes locks on tables that hold rows: Odd Schema.Tab.le (old) %s",),
        )


def test_the_clients_of_a_rehearsal_read_and_write(live: changing.Example) -> None:
    with load.beside(live.owner, [load.Aim(TABLE)], 2) as met:
        pass
    assert met.failures == {}
    assert len(met.times_ms) >= 4


def test_a_comment_at_the_end_of_a_statement_ends_with_it(live: changing.Example) -> None:
    adding.shape(live, 2, "index", f"Index({TABLE!r}, 'ix_2', '(\"it\\'s\") -- why')")
    place = live.folder / "migrations"
    found = script.read(place, changing.TARGET, changing.TARGET, first="2026_01_01_0001")["2026_01_01_0002"]
    assert [(one.text.splitlines()[1:], one.transaction) for one in found] == [(["/**/"], None)]


def test_a_table_that_was_renamed_still_has_what_belongs_to_it(live: changing.Example) -> None:
    adding.shape(live, 2, "renamed", f'RenamedTable({TABLE!r}, \'"New %s ""x"\')')
    assert adding.up(live) == ["2026_01_01_0002"]
    assert adding.up(live) == []


def test_a_replaced_table_goes_and_comes_back(database: str) -> None:
    shape = Replaced(
        table='"Tab.le %s"',
        by='"new %s (0) {x}"',
        create="""CREATE TABLE "new %s (0) {x}" (LIKE "Tab.le %s" INCLUDING ALL)""",
        key=("Id %", "it's"),
        same=("100%s",),
    )
    with psycopg.connect(database, autocommit=True) as connection:
        run(
            connection,
            """CREATE TABLE "Tab.le %s" ("Id %" int, "it's" text, "100%s" text, PRIMARY KEY ("it's", "Id %"));
            INSERT INTO "Tab.le %s" SELECT n, 'n%' || n, '%s' FROM generate_series(1, 50) n""",
        )
        do(connection, shape.expand(CHANGE))
        fill(connection, shape)
        swap(connection, shape)
        do(connection, shape.contract(CHANGE))
        run(connection, """DELETE FROM "Tab.le %s" WHERE "Id %" = 1; UPDATE "Tab.le %s" SET "100%s" = '{}'""")
        every = shape.put_back(CHANGE)
        do(connection, [one for one in every if not one.alone])
        ready(connection, [one for one in every if one.alone])
        assert different(connection, shape.after_swap()) == []
        assert run(connection, """SELECT count(*), min("100%s") FROM "new %s (0) {x}\"""") == [(49, "{}")]
