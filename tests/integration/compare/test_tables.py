"""Tables of every kind are compared: by composite keys, by names that need quotes, without a key, in partitions."""

from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.errors import CouldNotVerify
from dbops.operations.migrate import open_changes
from dbops.operations.migrate.compare import apply, ready, triggers, walk
from dbops.operations.migrate.compare.facts import Outcome
from dbops.operations.migrate.shapes.shape import Comparison

import changing
import renaming


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        renaming.write(example)
        renaming.upgrade(example)
        yield example


def few(_size: int, _took_ms: float) -> int:
    return 100


def compared(live: changing.Example, table: str) -> Outcome:
    query = f"SELECT {{key}} FROM {table} AS r WHERE {{rows}} AND r.x IS DISTINCT FROM r.y"
    run = live.run()
    with open_changes.at_work(live.config, live.toml, changing.TARGET, run, renaming.CHANGE) as work:
        comparison = Comparison(table, query)
        with ready.opened(live.config, run, work, (comparison,)) as doing:
            walk.walk(doing.walking, doing.ways[0])
            return apply.outcome(doing.walking, doing.ways[0])


ROWS = "SELECT n % 7, 'it''s ' || n, n, CASE WHEN n % 400 = 0 THEN 0 ELSE n END FROM generate_series(1, 900) n"


@pytest.mark.parametrize(
    ("table", "definition", "keys"),
    [
        ('"Weird Name"', '(a int, "B b" text, x int, y int, PRIMARY KEY ("B b", a))', "B b, a = it's 400, 1"),
        ("public.plain", "(a int, b text, x int, y int UNIQUE)", "ctid = ("),
        ("cut", "(a int, b text, x int, y int, PRIMARY KEY (a, x)) PARTITION BY LIST (a)", "a, x = 1, 400"),
    ],
)
def test_every_row_is_compared_once_and_named_by_its_key(
    live: changing.Example, monkeypatch: pytest.MonkeyPatch, table: str, definition: str, keys: str
) -> None:
    monkeypatch.setattr(walk, "_next_size", few)
    monkeypatch.setattr("dbops.operations.migrate.compare.jobs._FIRST", 100)
    live.execute(f"CREATE TABLE {table} {definition.replace('y int UNIQUE', 'y int')}")
    if "PARTITION" in definition:
        live.execute("; ".join(f"CREATE TABLE cut_{n} PARTITION OF cut FOR VALUES IN ({n})" for n in range(7)))
    live.execute(f"INSERT INTO {table} {ROWS}")
    found = compared(live, table)
    assert (found.rows, found.differ, found.unreadable) == (900, 2, 0)
    assert any(one.startswith(keys) for one in found.keys), found.keys


def test_an_empty_table_is_compared(live: changing.Example) -> None:
    live.execute("CREATE TABLE nothing (a int PRIMARY KEY, x int, y int)")
    assert (compared(live, "nothing").rows, compared(live, "nothing").differ) == (0, 0)


def test_a_table_that_is_gone_is_told(live: changing.Example) -> None:
    with pytest.raises(CouldNotVerify, match="there is no table gone"):
        compared(live, "gone")


def test_a_trigger_that_is_turned_off_on_one_partition_is_seen(live: changing.Example) -> None:
    live.execute("""
        CREATE TABLE parts (id int) PARTITION BY RANGE (id);
        CREATE TABLE first PARTITION OF parts FOR VALUES FROM (0) TO (10);
        CREATE TRIGGER "~dbops_x_the-change_parts" BEFORE UPDATE ON parts FOR EACH ROW
            EXECUTE FUNCTION suppress_redundant_updates_trigger();
        ALTER TABLE parts ENABLE ALWAYS TRIGGER "~dbops_x_the-change_parts" """)

    def digest() -> str:
        with live.connect() as connection:
            return triggers.digest(connection, "the-change", ["public.parts"])

    before = digest()
    live.execute("CREATE TABLE second PARTITION OF parts FOR VALUES FROM (10) TO (20)")
    assert digest() == before
    live.execute("ALTER TABLE second DISABLE TRIGGER ALL")
    assert digest() != before
