"""What `=` calls equal is carried over all the same, and what has no `=` can be: between two tables, either way."""

from collections.abc import Generator
from dataclasses import replace

import psycopg
import pytest
from psycopg import errors

from dbops.operations.migrate.shapes.replaced import Replaced

from replacing import CHANGE, Connection, different, do, fill, run

COLUMNS = ("word", "price", "span", "doc", "old_doc", "spot")
SHAPE = Replaced(
    table="public.t",
    by="public.t_v2",
    create="CREATE TABLE public.t_v2 (LIKE public.t INCLUDING ALL); ALTER TABLE public.t_v2 RENAME said TO told",
    key=("id",),
    same=COLUMNS,
    up={"told": "r.said"},
    down={"said": "r.told"},
    as_written=(*COLUMNS, "told", "said"),
)
_TABLE = """CREATE EXTENSION citext;
CREATE TABLE t (id int PRIMARY KEY, word citext, price numeric, span interval, doc jsonb, old_doc json, spot point,
                said citext);
INSERT INTO t SELECT n, 'a', 1.0, '1 day', '1.0', '{}', '(1,2)', 'b' FROM generate_series(1, 40) n"""
_OTHER = "word = 'A', price = 1.00, span = '24:00', doc = '1.00', old_doc = '{ }', spot = '(1,2.0000000001)'"
_SEEN = "SELECT DISTINCT word::text, price::text, span::text, doc::text, old_doc::text, spot::text, {}::text FROM {}"
_WRITTEN = ("A", "1.00", "24:00:00", "1.00", "{ }", "(1,2.0000000001)", "B")


@pytest.fixture
def connection(database: str) -> Generator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        run(opened, _TABLE)
        yield opened


@pytest.mark.parametrize("rows", ["id = 1", "true"])
def test_old_and_new_clients_are_carried_over_to_the_byte(connection: Connection, rows: str) -> None:
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    run(connection, f"UPDATE t SET {_OTHER}, said = 'B' WHERE {rows}")
    assert run(connection, f"{_SEEN.format('told', 't_v2')} WHERE {rows}") == [_WRITTEN]
    run(connection, f"UPDATE t_v2 SET word = 'a', told = 'b', price = 1 WHERE {rows}")
    assert run(connection, f"SELECT DISTINCT word::text, said::text, price::text FROM t WHERE {rows}") == [
        ("a", "b", "1")
    ]
    assert different(connection, SHAPE) == []


def test_what_is_the_same_but_for_its_bytes_is_seen_and_carried_over_again(connection: Connection) -> None:
    do(connection, SHAPE.expand(CHANGE))
    assert fill(connection, SHAPE) == 40
    run(
        connection,
        f"BEGIN; SET LOCAL dbops.backfill = '{CHANGE}'; UPDATE t SET {_OTHER}, said = 'B' WHERE id < 4; COMMIT",
    )
    assert sorted(different(connection, SHAPE)) == [(1,), (1,), (2,), (2,), (3,), (3,)]
    assert [fill(connection, SHAPE), fill(connection, SHAPE)] == [3, 0]
    assert run(connection, f"{_SEEN.format('told', 't_v2')} WHERE id < 4") == [_WRITTEN]
    assert different(connection, SHAPE) == []


def test_a_key_is_carried_over_to_the_byte(connection: Connection) -> None:
    run(connection, 'CREATE TABLE s (who citext, "No" numeric, said int, PRIMARY KEY (who, "No"))')
    run(connection, "INSERT INTO s SELECT 'Ann ' || n, 1.0, 0 FROM generate_series(1, 40) n")
    create = "CREATE TABLE public.s_v2 (LIKE public.s INCLUDING ALL)"
    shape = Replaced("public.s", "public.s_v2", create, ("who", '"No"'), same=("said",), as_written=("who", "No"))
    with pytest.raises(
        errors.ObjectNotInPrerequisiteState, match=r"= does not see each change of public\.s_v2: who, No"
    ):
        do(connection, replace(shape, as_written=()).expand(CHANGE))
    do(connection, shape.expand(CHANGE))
    fill(connection, shape)
    for table, other in (("s", "s_v2"), ("s_v2", "s")):
        for where in ("= 'ann 1'", "<> 'ann 1'"):
            for told in (
                "who = upper(who)",
                "who = lower(who)",
                '"No" = "No" * 1.00',
                "who = 'New ' || who, \"No\" = 2",
            ):
                run(connection, f"UPDATE {table} SET {told} WHERE who {where}")
                seen = 'SELECT who::text, "No"::text FROM {} ORDER BY 1'
                assert run(connection, seen.format(table)) == run(connection, seen.format(other)), (table, told)
    assert different(connection, shape) == []
    run(connection, f"BEGIN; SET LOCAL dbops.backfill = '{CHANGE}'; UPDATE s SET who = lower(who); COMMIT")
    assert len(different(connection, shape)) == 80
    assert [fill(connection, shape), different(connection, shape)] == [40, []]


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("a int", "a int GENERATED ALWAYS AS (id * 2) STORED", r"column a of public\.s_v2 is generated"),
        ("a int GENERATED ALWAYS AS IDENTITY", "a int", r"column a of public\.s is GENERATED ALWAYS"),
        ("a int", "a int, b int NOT NULL, c int NOT NULL", r"nothing tells b, c, which public\.s_v2 lets no row be"),
        ("a int, b int NOT NULL", "a int", r"nothing tells b, which public\.s lets no row be without"),
        ("a int, b int NOT NULL DEFAULT 1", "a int, b int GENERATED ALWAYS AS IDENTITY", ""),
    ],
)
def test_what_each_write_would_fail_for_is_refused_before_the_first(
    connection: Connection, old: str, new: str, refused: str
) -> None:
    run(connection, f"CREATE TABLE s (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {old})")
    shape = Replaced(
        "public.s", "public.s_v2", f"CREATE TABLE public.s_v2 (id int PRIMARY KEY, {new})", ("id",), ("a",)
    )
    if refused:
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match=refused):
            do(connection, shape.expand(CHANGE))
        return
    do(connection, shape.expand(CHANGE))
    run(connection, "INSERT INTO s (a) VALUES (1); INSERT INTO s_v2 (a) VALUES (2); UPDATE s_v2 SET a = a + 1")
    assert run(connection, "SELECT id, a FROM s ORDER BY id") == [(1, 2), (2, 3)]


@pytest.mark.parametrize(
    ("column", "as_written", "refused"),
    [
        ("word citext", (), "word"),
        ("word json, more citext", (), "word, more"),
        ('word text COLLATE "blind"', (), "word"),
        ("word numeric(8, 2)", (), ""),
        ("word varchar(9)", (), ""),
        ("word char(9)", (), ""),
        ("word bpchar", (), "word"),
        ("word int", ("word",), ""),
    ],
)
def test_a_column_that_equality_does_not_judge_is_to_be_named(
    connection: Connection, column: str, as_written: tuple[str, ...], refused: str
) -> None:
    run(connection, "CREATE COLLATION public.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    run(connection, f"CREATE TABLE s (id int PRIMARY KEY, {column})")
    create = "CREATE TABLE public.s_v2 (LIKE public.s INCLUDING ALL)"
    same = ("word", "more") if "more" in column else ("word",)
    shape = Replaced("public.s", "public.s_v2", create, ("id",), same=same, as_written=as_written)
    if not refused:
        do(connection, shape.expand(CHANGE))
        return
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as caught:
        do(connection, shape.expand(CHANGE))
    assert caught.value.diag.message_primary == f"= does not see each change of public.s_v2: {refused}"
    hint = 'as_written=("word", "more",)' if "more" in refused else 'as_written=("word",)'
    assert caught.value.diag.message_hint == f"have them compared as they are written: {hint}"


def test_json_that_goes_through_jsonb_is_told_to_change_by_itself(connection: Connection) -> None:
    create = "CREATE TABLE public.s_v2 (id int PRIMARY KEY, doc jsonb)"
    run(connection, "CREATE TABLE s (id int PRIMARY KEY, doc json)")
    up, down = {"doc": "r.doc::jsonb"}, {"doc": "r.doc::json"}
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"of public\.s: doc") as caught:
        do(connection, Replaced("public.s", "public.s_v2", create, ("id",), up=up, down=down).expand(CHANGE))
    assert str(caught.value.diag.message_hint).endswith("never agrees: dbops migrate new type")


@pytest.mark.parametrize("told", ["numeric", "numeric(9, 3)", "jsonb"])
def test_bytes_of_two_types_are_not_compared(connection: Connection, told: str) -> None:
    run(connection, "CREATE TABLE s (id int PRIMARY KEY, word numeric(8, 2))")
    create = f"CREATE TABLE public.s_v2 (id int PRIMARY KEY, word {told})"
    shape = Replaced("public.s", "public.s_v2", create, ("id",), same=("word",), as_written=("word",))
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"as_written: column word of public\.s_v2"):
        do(connection, shape.expand(CHANGE))
