"""How far a walk has come, by the statistics of its key."""

from collections.abc import Generator
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from dbops.copies import batches
from dbops.operations.migrate import record
from dbops.operations.migrate.backfill.progress import fraction
from dbops.stores import ledger

import changing

# Thick in one place, thin in another: by values alone nothing could be told.
_ROWS = "SELECT CASE WHEN n <= 9000 THEN n ELSE n * 1000 END AS n FROM generate_series(1, 10000) n"
KINDS = {
    "bigint": "n",
    "text": "'row ' || lpad(n::text, 9, '0')",
    "uuid": "lpad(to_hex(n), 32, '0')::uuid",
    "timestamptz": "timestamptz '2026-01-01' + n * interval '1 second'",
    "numeric(12,2)": "n / 100.0",
}


@pytest.fixture(scope="module")
def live(server: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[changing.Example]:
    folder = tmp_path_factory.mktemp("progress")
    with changing.example(server, folder) as example:
        with example.connect(example.admin) as admin:
            owner = str(conninfo_to_dict(example.owner)["user"])
            ledger.apply(admin, ledger.install(None, owner=owner), target=changing.TARGET)
        yield example


@pytest.fixture
def table(live: changing.Example) -> Generator[str]:
    yield "walked"
    live.execute("DROP TABLE walked; DELETE FROM dbops.jobs")


def make(live: changing.Example, key: str, rows: str, *, analyzed: bool = True) -> None:
    live.execute(f"CREATE TABLE walked ({key}); INSERT INTO walked {rows}; {'ANALYZE walked' if analyzed else ''}")


def parts(live: changing.Example, *told: tuple[Any, Any, Any, bool]) -> None:
    """Write down parts of one walk: low, high, cursor, and whether it is finished."""
    with live.connect() as connection:
        here = record.here(connection)
        for number, (low, high, cursor, finished) in enumerate(told):
            kept = [None if one is None else Jsonb([one]) for one in (low, high, cursor)]
            connection.execute(
                "INSERT INTO dbops.jobs (change, kind, part, parts, work, run, low, high, cursor, finished, batch_rows,"
                " system_identifier, database_oid, timeline) VALUES ('c', 'backfill', %s, %s, 'w', 'r', %s, %s, %s,"
                " CASE WHEN %s THEN now() END, 1, %s, %s, %s)",
                (number, len(told), *kept, finished, here.system_identifier, here.database_oid, here.timeline),
            )


def told(live: changing.Example) -> float | None:
    with live.connect() as connection:
        [(oid,)] = connection.execute("SELECT 'walked'::regclass::oid::bigint").fetchall()
        return fraction(connection, batches.observe(connection, oid), "c", "w")


def at(live: changing.Example, share: float) -> str:
    """Name the key behind which a share of the rows is done."""
    rows = live.execute(f"SELECT k::text FROM walked ORDER BY walked.k OFFSET {round(share * 10_000) - 1} LIMIT 1")
    return str(rows[0][0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_share_of_rows_that_is_done_is_told_by_the_key_alone(live: changing.Example, table: str, kind: str) -> None:
    make(live, f"k {kind} PRIMARY KEY", f"SELECT {KINDS[kind]} FROM ({_ROWS}) r")
    for share in (0.1, 0.5, 0.93):
        parts(live, (None, None, at(live, share), False))
        assert told(live) == pytest.approx(share, abs=0.03)
        live.execute("DELETE FROM dbops.jobs")


def test_parts_that_are_finished_or_not_begun_count_as_they_are(live: changing.Example, table: str) -> None:
    make(live, "k bigint PRIMARY KEY", _ROWS)
    one, two, three = (at(live, share) for share in (0.25, 0.5, 0.75))
    parts(
        live,
        (None, one, one, True),
        (one, two, at(live, 0.35), False),
        (two, three, None, False),
        (three, None, None, False),
    )
    assert told(live) == pytest.approx(0.35, abs=0.03)


def test_where_the_statistics_do_not_tell_nothing_is_told(live: changing.Example, table: str) -> None:
    make(live, "k bigint PRIMARY KEY", _ROWS, analyzed=False)
    parts(live, (None, None, "5000", False))
    assert told(live) is None
    live.execute("ANALYZE walked")
    assert told(live) is not None
    live.execute("UPDATE dbops.jobs SET cursor = '[\"99999999\"]'")  # rows that came behind the last known one
    assert told(live) is None
    live.execute("DROP TABLE walked; CREATE TABLE walked (k int, n int, PRIMARY KEY (k, n))")
    live.execute("INSERT INTO walked SELECT n % 3, n FROM generate_series(1, 1000) n; ANALYZE walked")
    live.execute('UPDATE dbops.jobs SET cursor = \'["1", "500"]\'')
    assert told(live) is None


def test_an_empty_walk_and_a_table_without_a_key_tell_nothing(live: changing.Example, table: str) -> None:
    make(live, "k bigint", _ROWS)
    assert told(live) is None
    parts(live, (None, "(44,0)", "(3,7)", False))
    assert told(live) is None
