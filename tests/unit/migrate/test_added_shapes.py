"""What is put on a table, as SQL: nothing scans in a transaction that holds a lock, and names survive as they are."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.migrate.compare.facts import COMPARED
from dbops.operations.migrate.life import Life, Place, State, Told
from dbops.operations.migrate.shapes import keys, retired
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.dropped import Dropped
from dbops.operations.migrate.shapes.enums import EnumValue
from dbops.operations.migrate.shapes.generated import Generated
from dbops.operations.migrate.shapes.guarded import beside, block, partition_name
from dbops.operations.migrate.shapes.index import Index
from dbops.operations.migrate.shapes.plain import Plain
from dbops.operations.migrate.shapes.shape import KEY, ROWS, Do, Shape
from dbops.operations.migrate.switch import check as switching
from dbops.operations.migrate.switch.facts import Facts

SHAPES: tuple[Shape, ...] = (
    Index("t", "i", "(a)"),
    Index("t", "i", "(a)", unique=True, partitioned=True),
    Constraint("t", "c", "CHECK (a > 0)"),
    Constraint("t", "c", "FOREIGN KEY (a) REFERENCES p (id)"),
    Constraint("t", "c", "FOREIGN KEY (a) REFERENCES p (id)", partitioned=True),
    Constraint("t", "c", "UNIQUE NULLS NOT DISTINCT (a)"),
    Constraint("t", "c", "PRIMARY KEY (a)", partitioned=True),
    EnumValue("mood", "calm"),
    Generated("t", "c", "int", "r.a + 1"),
    Dropped("t", ("a",), required={"a": None}),
    Dropped("t"),
    Plain("t", up=("SELECT 1",), down=("SELECT 2",), on_complete=("SELECT 3",)),
)
names = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), min_size=1, max_size=80)


def said(statements: Sequence[Do]) -> str:
    return "\n".join(one.sql for one in statements)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_a_shape_says_the_same_each_time(shape: Shape) -> None:
    for phase in (shape.expand, shape.undo, shape.contract):
        assert phase("one") == phase("one")
    assert shape.swap("one") == shape.swap_back("one") == ()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_what_builds_or_validates_never_shares_a_transaction(shape: Shape) -> None:
    for one in shape.expand("one"):
        slow = re.search(r"CONCURRENTLY|VALIDATE CONSTRAINT", one.sql)
        assert not slow or one.alone or one.asks


def test_a_constraint_is_added_not_valid_and_validated_apart() -> None:
    before, add, validate, unmark = Constraint("app.t", "The C", "CHECK (a > 0)").expand("one")
    assert before.alone
    assert 'ADD CONSTRAINT "The C" CHECK (a > 0) NOT VALID' in add.sql
    assert validate == Do('ALTER TABLE app.t VALIDATE CONSTRAINT "The C"', alone=True)
    assert unmark.sql.endswith("IS NULL")


@pytest.mark.parametrize(
    ("definition", "kind", "columns"),
    [
        ("UNIQUE (a, B)", "UNIQUE", "(a, B)"),
        ('unique nulls not distinct ("x, (y)", b)', "unique", '("x, (y)", b)'),
        ("PRIMARY  KEY (a) INCLUDE (b) NOT DEFERRABLE", "PRIMARY  KEY", "(a)"),
        ("UNIQUE (a) DEFERRABLE INITIALLY DEFERRED", "UNIQUE", "(a)"),
    ],
)
def test_a_key_is_read_as_postgresql_reads_it(definition: str, kind: str, columns: str) -> None:
    found = keys.parsed(definition)
    assert (found["kind"], found["columns"]) == (kind, columns)


@pytest.mark.parametrize(
    "definition", ["UNIQUE (lower(a))", "UNIQUE a", "UNIQUE (a) WHERE b", "PRIMARY KEY USING INDEX i"]
)
def test_what_is_no_plain_key_is_refused(definition: str) -> None:
    with pytest.raises(ValueError, match="a key is told as"):
        keys.parsed(definition)


def test_an_index_lies_in_the_schema_of_its_table() -> None:
    assert beside("app.t", "i") == "app.i"
    assert beside('"My App"."t.x"', "Big I") == '"My App"."Big I"'
    assert beside('"t.x"', "i") == "i"


@given(names, names)
def test_the_name_of_a_part_fits_and_tells_parts_apart(name: str, partition: str) -> None:
    found = partition_name(name, partition)
    assert len(found.encode()) <= 63
    assert found == partition_name(name, partition) != partition_name(name, partition + "x")


@given(names)
def test_a_block_is_not_closed_by_what_is_in_it(body: str) -> None:
    tag, _, rest = block(f"x {body} $dbops$ $dbops_$ y").removeprefix("DO ").partition("\n")
    assert rest.count(tag) == 1


@given(names, names)
def test_what_is_out_of_the_way_has_a_name_of_its_own(change: str, column: str) -> None:
    stored = retired.stored_column(change, column)
    assert len(stored.encode()) <= 63
    assert stored.startswith("dbops_gone_")
    assert stored != retired.stored_column(change, column + "x")
    assert retired.stored_table(change, column) != retired.stored_table(change + "x", column)


def test_what_makes_no_sense_is_told_when_it_is_written() -> None:
    with pytest.raises(ValueError, match="not both"):
        EnumValue("mood", "calm", before="a", after="b")
    with pytest.raises(ValueError, match="not among the columns"):
        Dropped("t", ("a",), required={"b": None})


def test_sql_of_ones_own_names_what_its_end_takes_away() -> None:
    ending = Plain("t", up=("SELECT 1",), down=("SELECT 2",), on_complete=("SELECT 3",))
    assert said(ending.contract("one")) == "SELECT 3"
    assert ending.old_names() is not None
    assert Plain("t", up=("SELECT 1",), down=("SELECT 2",)).old_names() is None


def test_a_generated_column_is_switched_without_a_word_on_its_way_back() -> None:
    """Nobody writes it but its trigger: what it follows from stands as it was written."""
    comparisons = Generated("t", "c", "int", "r.a + 1").comparisons()
    told = [{"way": one.way, "differ": 0, "unreadable": 0} for one in comparisons]
    here, at = Place(1, 2, 3), datetime(2026, 11, 21, tzinfo=UTC)
    proof = Told(at, "run", "actor", COMPARED, {"triggers": "t", "ways": told}, here)
    ways = frozenset(one.way for one in comparisons)
    assert switching.refusal(Facts("db", "c", Life(State.VERIFIED), 0, 100, proof, "t", ways)) is None
    assert [one.query for one in comparisons if one.way == "back"] == [
        f"SELECT {KEY} FROM t AS r WHERE {ROWS} AND false"
    ]
