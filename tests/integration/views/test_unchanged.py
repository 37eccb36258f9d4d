"""When a view is left alone, and all that must never look like no change."""

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbops.operations.views.facts import Wanted
from dbops.servers import account
from dbops.servers import postgres as pg

from views_shop import Shop

TABLES = """
    CREATE TABLE orders (id int PRIMARY KEY, buyer int, at date, paid bool DEFAULT true);
    CREATE TABLE items (id int PRIMARY KEY, price numeric);
    CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
    CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE events_new (LIKE events);
    CREATE FUNCTION twice(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
    CREATE VIEW paid AS SELECT * FROM orders WHERE paid;
    INSERT INTO orders SELECT n, n % 3, '2026-01-01' FROM generate_series(1, 10) n;
    INSERT INTO items SELECT n, n FROM generate_series(1, 10) n;
    INSERT INTO events SELECT '2025-05-05', 'x' FROM generate_series(1, 10) n;
    CREATE MATERIALIZED VIEW sums AS
        SELECT p.buyer, sum(twice(i.price)) AS total FROM paid p JOIN items i ON i.id = p.id GROUP BY p.buyer;
    CREATE UNIQUE INDEX ON sums (buyer);
    CREATE MATERIALIZED VIEW days AS SELECT at, count(*) AS many FROM events GROUP BY at;
    CREATE UNIQUE INDEX ON days (at);
    CREATE MATERIALIZED VIEW above AS SELECT max(total) AS most FROM sums;
"""
CHANGES: dict[str, tuple[str, set[str]]] = {
    "an inserted row": ("INSERT INTO orders VALUES (11, 1, '2026-01-02')", {"sums", "above"}),
    "an updated row": ("UPDATE items SET price = 5 WHERE id = 1", {"sums", "above"}),
    "a deleted row": ("DELETE FROM items WHERE id = 1", {"sums", "above"}),
    "a truncated table": ("TRUNCATE items", {"sums", "above"}),
    "an attached partition": (
        "ALTER TABLE events ATTACH PARTITION events_new FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        {"days"},
    ),
    "a detached partition": ("ALTER TABLE events DETACH PARTITION events_old", {"days"}),
    "a row in a partition": ("INSERT INTO events_old VALUES ('2025-05-06', 'y')", {"days"}),
    "a replaced plain view": ("CREATE OR REPLACE VIEW paid AS SELECT * FROM orders", {"sums", "above"}),
    "a replaced function": (
        "CREATE OR REPLACE FUNCTION twice(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3'",
        {"sums", "above"},
    ),
    "statistics that begin anew": ("SELECT pg_stat_reset()", {"sums", "days", "above"}),
    "counters of one table that begin anew": (
        "SELECT pg_stat_reset_single_table_counters('items'::regclass)",
        {"sums", "days", "above"},
    ),
    "a view that was emptied": ("REFRESH MATERIALIZED VIEW days WITH NO DATA", {"days"}),
    "a view that was made anew": (
        "DROP MATERIALIZED VIEW days; CREATE MATERIALIZED VIEW days AS SELECT at FROM events",
        {"days"},
    ),
    "a view that somebody refreshed plainly below another": ("REFRESH MATERIALIZED VIEW sums", {"above"}),
    "track_counts off for a role": ("ALTER ROLE CURRENT_USER SET track_counts = off", {"sums", "days", "above"}),
    "a vacuum": ("VACUUM orders", set()),
    "an analyze": ("ANALYZE", set()),
    "a table that nothing reads": ("CREATE TABLE other (); INSERT INTO other DEFAULT VALUES", set()),
}


@pytest.fixture
def refreshed(shop: Shop) -> Shop:
    shop.sql(TABLES)
    shop.refresh()
    return shop


def test_what_has_not_changed_is_left_alone(refreshed: Shop) -> None:
    assert refreshed.planned()[0] == []
    assert refreshed.refresh() == []


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_seen(refreshed: Shop, what: str) -> None:
    change, wanted = CHANGES[what]
    try:
        refreshed.sql(change)
        assert {name.removeprefix("public.") for name in refreshed.planned()[0]} == wanted
    finally:
        refreshed.connection.execute("ALTER ROLE CURRENT_USER RESET track_counts")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT count(*) FROM orders WHERE at < current_date", "the current time or user"),
        ("SELECT count(*) FROM orders WHERE at < now()", "now() is not immutable"),
        ("SELECT count(*) FROM orders WHERE random() < 0.5", "random() is not immutable"),
        ("SELECT max(to_char(at, 'Mon')) FROM orders", "to_char() is not immutable"),
        ("SELECT max(at::text) FROM orders", "a cast through text"),
        ("SELECT count(*) FROM orders TABLESAMPLE bernoulli (50)", "a sample"),
        ("SELECT count(*) FROM pg_class", "a system catalog"),
        ("SELECT count(*) FROM far", "public.far (foreign table)"),
        ("SELECT last_value FROM numbers", "public.numbers (sequence)"),
        ("SELECT count(*) FROM behind", "now() is not immutable"),
        ("SELECT count(*) FROM orders WHERE id = ANY (ARRAY[1]) AND id <@ int4range(1, 2)", None),
        ("SELECT count(*) FROM orders o WHERE (SELECT paid FROM orders p WHERE p.id = o.id)", None),
        ("SELECT sum(n) FROM generate_series(1, 3) n", None),
        ("SELECT '{SQLVALUEFUNCTION now() :relid 1259' AS \"{COERCEVIAI O\" FROM orders", None),
    ],
)
def test_what_a_change_cannot_be_seen_in_is_refreshed_every_time(shop: Shop, query: str, why: str | None) -> None:
    shop.sql(
        TABLES
        + "CREATE SEQUENCE numbers; CREATE VIEW behind AS SELECT * FROM orders WHERE at < now();"
        + "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        + "CREATE FOREIGN TABLE far (n int) SERVER s;"
        + f"CREATE MATERIALIZED VIEW odd AS {query} WITH NO DATA"
    )
    assert why is None or why in shop.view("odd").opaque
    if "far" in query:
        return
    shop.refresh(Wanted(names=("odd",)))
    assert shop.planned()[0].count("public.odd") == (0 if why is None else 1)
    assert ("public.odd" in shop.refresh()) is (why is not None)


def test_a_change_between_the_look_and_the_refresh_is_seen_by_the_next_run(refreshed: Shop) -> None:
    """The writer commits while the refresh waits for its lock: the counters were read before."""
    refreshed.sql("INSERT INTO items VALUES (11, 1)")
    with psycopg.connect(refreshed.conninfo) as other:
        other.execute("INSERT INTO orders VALUES (11, 1, '2026-01-02')")  # seen by nobody, counted by nobody
        refreshed.refresh()
    refreshed.wait_for("SELECT n_tup_ins = 11 FROM pg_stat_user_tables WHERE relname = 'orders'")
    assert "public.sums" in refreshed.planned()[0]


def test_a_view_that_says_so_is_refreshed_although_nothing_has_changed(refreshed: Shop) -> None:
    assert refreshed.planned(sums={"skip_unchanged": False})[0] == ["public.sums", "public.above"]
    assert refreshed.planned(Wanted(names=("days",), force=True))[0] == ["public.days"]


def test_what_was_seen_unchanged_is_no_older_than_that_look(refreshed: Shop) -> None:
    """An hour without changes does not make a view an hour late at the first change."""
    refreshed.refresh(sums={"staleness": "1h"})
    refreshed.sql("INSERT INTO items VALUES (11, 1)")
    view = refreshed.view("sums")
    assert view.past.read_at is not None
    assert view.past.unchanged_at is not None
    assert view.past.unchanged_at > view.past.read_at
    facts = refreshed.facts()
    assert (view.age(facts.now) or timedelta(1)) < facts.now - view.past.read_at


def test_a_crash_makes_every_view_suspect(base: Path, folder: Path) -> None:
    """Counters do not survive it; the same numbers could come back by chance."""
    server = pg.Server(base / f"crash-{folder.name}", durable=False, wal_segment_mb=1)
    with pg.running(server, "secret"):
        conninfo = pg.conninfo(server, password="secret")
        shop = Shop(conninfo, folder)
        shop.sql(TABLES)
        shop.refresh()
        assert shop.planned()[0] == []
        with psycopg.connect(conninfo, autocommit=True) as bystander:
            os.kill(shop.connection.info.backend_pid, signal.SIGKILL)
            _await_the_end_of(bystander)  # until then the server takes connections that it is about to end
        shop.close()
        shop = _again(conninfo, folder)
        shop.sql(
            "INSERT INTO orders SELECT n, 1, '2026-01-01' FROM generate_series(11, 20) n;"
            "INSERT INTO items SELECT n, n FROM generate_series(11, 20) n;"
            "INSERT INTO events SELECT '2025-05-05', 'x' FROM generate_series(1, 10) n"
        )  # every counter says what it said before
        assert {"public.sums", "public.days"} <= set(shop.planned()[0])
        shop.close()


def _await_the_end_of(bystander: psycopg.Connection[Any]) -> None:
    try:
        while True:
            bystander.execute("SELECT 1")
    except psycopg.OperationalError:
        return


def test_a_standby_is_left_alone_and_its_promotion_makes_every_view_suspect(base: Path, folder: Path) -> None:
    """The counters survive a clean stop, so nothing but the timeline tells."""
    server = pg.Server(base / f"promoted-{folder.name}", durable=False, wal_segment_mb=1)
    conninfo = pg.conninfo(server, password="secret")
    with pg.running(server, "secret"):
        shop = Shop(conninfo, folder)
        shop.sql(TABLES)
        shop.refresh()
        shop.close()
    (server.data / "standby.signal").touch()
    account.give(server.data / "standby.signal")
    with pg.running(server, "secret"):
        shop = Shop(conninfo, folder)
        names, findings = shop.planned()
        assert (names, [finding.code for finding in findings]) == ([], ["standby"])
        shop.sql("SELECT pg_promote()")
        assert set(shop.planned()[0]) == {"public.sums", "public.days", "public.above"}
        shop.close()


def _again(conninfo: str, folder: Path) -> Shop:
    for _ in range(200):
        try:
            return Shop(conninfo, folder)
        except psycopg.OperationalError:
            pass
    return Shop(conninfo, folder)
