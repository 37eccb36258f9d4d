"""Constraints that are added to tables in use: nothing is scanned under a lock that stops writers."""

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from conftest import Dbops
from dbops.errors import DbopsError, ExitCode, Refused

import adding
import changing
from migrating import catalog_of

_TABLES = """
CREATE TABLE owners (id int PRIMARY KEY);
INSERT INTO owners SELECT n FROM generate_series(1, 20) n;
CREATE TABLE things (id int NOT NULL, "The Owner" int, a text, b int);
INSERT INTO things SELECT n, n % 20 + 1, 'text ' || n, n FROM generate_series(1, 500) n
"""
_PARTS = """
CREATE TABLE owners (id int PRIMARY KEY);
INSERT INTO owners SELECT n FROM generate_series(1, 20) n;
CREATE TABLE things (id int, "The Owner" int, at date) PARTITION BY RANGE (at);
CREATE TABLE things_1 PARTITION OF things FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE things_2 PARTITION OF things FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (id);
CREATE TABLE things_2_rest PARTITION OF things_2 DEFAULT;
INSERT INTO things SELECT n, n % 20 + 1, date '2026-01-01' + n % 59 FROM generate_series(1, 300) n
"""
_CHECK = """Constraint("things", "b_is_positive", "CHECK (b > 0)")"""
_FOREIGN = """Constraint("things", "of_owner", 'FOREIGN KEY ("The Owner") REFERENCES owners (id) ON DELETE CASCADE')"""
_UNIQUE = """Constraint("things", "Of a", "UNIQUE (a) INCLUDE (b) DEFERRABLE")"""
_PRIMARY = """Constraint("things", "things_key", 'PRIMARY KEY (b, "The Owner")', nullable=("b", "The Owner"))"""
_WHOLE = {
    "check": (_TABLES, _CHECK, "CHECK ((b > 0))"),
    "foreign key": (_TABLES, _FOREIGN, 'FOREIGN KEY ("The Owner") REFERENCES owners(id) ON DELETE CASCADE'),
    "unique": (_TABLES, _UNIQUE, "UNIQUE (a) INCLUDE (b) DEFERRABLE"),
    "primary key": (_TABLES, _PRIMARY, 'PRIMARY KEY (b, "The Owner")'),
    "foreign key of partitions": (
        _PARTS,
        _FOREIGN.replace("CASCADE'", "CASCADE', partitioned=True"),
        'FOREIGN KEY ("The Owner") REFERENCES owners(id) ON DELETE CASCADE',
    ),
    "unique of partitions": (
        _PARTS,
        """Constraint("things", "Of a", "UNIQUE (id, at)", partitioned=True)""",
        "UNIQUE (id, at)",
    ),
    "primary key of partitions": (
        _PARTS,
        """Constraint("things", "Of a", "PRIMARY KEY (id, at)", nullable=("id", "at"), partitioned=True)""",
        "PRIMARY KEY (id, at)",
    ),
    "check of partitions": (_PARTS, """Constraint("things", "positive", "CHECK (id > 0)")""", "CHECK ((id > 0))"),
}


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        yield example


def defined(live: changing.Example) -> list[tuple[str, bool]]:
    return [
        (definition, valid)
        for definition, valid in live.execute(
            "SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conrelid = 'things'::regclass"
        )
    ]


@pytest.mark.parametrize("kind", _WHOLE)
def test_it_comes_valid_scans_nothing_under_a_lock_and_goes_again(live: changing.Example, kind: str) -> None:
    tables, shape, definition = _WHOLE[kind]
    adding.first(live, tables)
    adding.run(live)
    before = catalog_of(live.admin, comments=True)
    adding.shape(live, 2, "constraint", shape)
    adding.assert_nothing_scans_under_a_lock(adding.run(live))
    assert defined(live) == [(definition, True)]
    assert live.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin, comments=True) == before


@pytest.mark.parametrize("kind", sorted({*_WHOLE} - {"unique of partitions", "check of partitions"}))
def test_it_goes_on_from_wherever_it_was_cut_off(live: changing.Example, kind: str) -> None:
    tables, shape, _ = _WHOLE[kind]
    adding.first(live, tables)
    adding.shape(live, 2, "constraint", shape)
    statements = len([one for one in adding.run(live) if adding.is_ddl(one.statement)])
    whole = catalog_of(live.admin, comments=True)
    adding.run(live, "downgrade", "-1")
    for cut in range(1, statements + 1):
        with pytest.raises(Refused, match="cut off"):
            adding.run(live, before=adding.stopping_after(cut))
        adding.run(live)
        assert catalog_of(live.admin, comments=True) == whole
        adding.run(live, "downgrade", "-1")


@pytest.mark.parametrize(
    ("shape", "bad"),
    [
        (_CHECK, "UPDATE things SET b = -1, a = 'a secret' WHERE id IN (7, 8)"),
        (_FOREIGN, "UPDATE things SET \"The Owner\" = 99, a = 'a secret' WHERE id IN (7, 8)"),
    ],
)
def test_rows_that_offend_stop_it_before_anything_is_done(live: changing.Example, shape: str, bad: str) -> None:
    adding.first(live, _TABLES + "; ALTER TABLE things ADD PRIMARY KEY (id)")
    adding.shape(live, 2, "constraint", shape)
    adding.run(live, to="2026_01_01_0001")
    live.execute(bad)
    before = catalog_of(live.admin)
    with pytest.raises(DbopsError, match="the keys of the first ones: 7, 8") as failed:
        adding.up(live)
    assert "a secret" not in f"{failed.value.message} {failed.value.hint}"
    assert catalog_of(live.admin) == before
    live.execute('UPDATE things SET b = 1, "The Owner" = 1')
    adding.up(live)


def test_a_constraint_of_that_name_that_is_somebody_elses_is_refused(live: changing.Example) -> None:
    adding.first(live, _TABLES)
    adding.shape(live, 2, "constraint", _CHECK)
    adding.run(live, to="2026_01_01_0001")
    live.execute("ALTER TABLE things ADD CONSTRAINT b_is_positive CHECK (b > -5) NOT VALID")
    with pytest.raises(Exception, match="exists already"):
        adding.run(live)
    live.execute("ALTER TABLE things DROP CONSTRAINT b_is_positive")
    adding.run(live)
    assert defined(live) == [("CHECK ((b > 0))", True)]


def test_a_foreign_key_gives_up_both_tables_when_one_is_not_to_be_had(live: changing.Example, dbops: Dbops) -> None:
    adding.first(live, _TABLES)
    adding.shape(live, 2, "constraint", _FOREIGN)
    adding.run(live, to="2026_01_01_0001")
    up = ("migrate", "up", "--yes", "--config", live.toml)
    with psycopg.connect(live.admin) as other:
        other.execute("UPDATE owners SET id = id")
        ended = dbops(*up, "--patience", "1s")
        assert ended.returncode == ExitCode.LOCKED, ended.stderr
        assert f"backend {other.info.backend_pid}" in ended.stderr
        assert live.execute("SELECT count(*) FROM pg_locks WHERE relation = 'things'::regclass") == [(0,)]
    adding.up(live)
    assert defined(live)[0][1] is True


def test_what_cannot_be_added_to_a_table_in_use_is_told_when_it_is_written() -> None:
    from dbops.operations.migrate.shapes.constraint import Constraint

    with pytest.raises(ValueError, match="replace the table"):
        Constraint("things", "apart", "EXCLUDE USING gist (r WITH &&)")
    with pytest.raises(ValueError, match="a constraint begins with"):
        Constraint("things", "x", "(a > 0)")
    with pytest.raises(ValueError, match="a key is told as"):
        Constraint("things", "x", "UNIQUE (lower(a))")
