"""Refreshes beside the bare statement, and a pass over twenty views that have not changed."""

import statistics
import time
from pathlib import Path

import psycopg
import pytest

from dbops.engine import clock
from dbops.engine import run as runs
from dbops.operations.views import ready
from dbops.operations.views.facts import Wanted
from views_shop import Shop

_ROUNDS = 4
_LARGE = """
    CREATE TABLE orders AS SELECT n AS id, n % 80000 AS buyer, n * 0.5 AS price FROM generate_series(1, 5000000) n;
    ANALYZE orders;
    CREATE MATERIALIZED VIEW large AS SELECT buyer, count(*) AS many, sum(price) AS total FROM orders GROUP BY buyer;
    CREATE UNIQUE INDEX ON large (buyer);
"""


@pytest.fixture
def shop(database: str, folder: Path) -> Shop:
    return Shop(database, folder)


@pytest.mark.parametrize("concurrently", [True, False])
def test_a_refresh_takes_as_long_as_the_bare_statement(shop: Shop, concurrently: bool) -> None:
    shop.sql(_LARGE)
    word = "CONCURRENTLY" if concurrently else ""
    mode = {"mode": "auto" if concurrently else "plain"}
    shop.refresh(Wanted(force=True), large=mode)  # the ledger comes once
    bare: list[float] = []
    ours: list[float] = []
    for number in range(_ROUNDS):
        shop.sql(f"UPDATE orders SET price = price + 1 WHERE id % 1000 = {number}")
        began = time.perf_counter()
        with psycopg.connect(shop.conninfo, autocommit=True) as connection:
            connection.execute(f"REFRESH MATERIALIZED VIEW {word} large")  # pyright: ignore[reportArgumentType]
        bare.append(time.perf_counter() - began)
        shop.sql(f"UPDATE orders SET price = price - 1 WHERE id % 1000 = {number}")
        began = time.perf_counter()
        assert shop.refresh(Wanted(names=("large",)), large=mode) == ["public.large"]
        ours.append(time.perf_counter() - began)
    shop.close()
    overhead = min(ours) / min(bare) - 1
    fixed = (min(ours) - min(bare)) * 1000
    print(
        f"\nrefresh {word or 'plain'}: bare {min(bare):.3f} s, ours {min(ours):.3f} s, {overhead:+.1%}, {fixed:+.0f} ms"
        f" (medians {statistics.median(bare):.3f}, {statistics.median(ours):.3f})"
    )
    assert overhead <= 0.03


def test_a_pass_over_twenty_views_that_have_not_changed(shop: Shop) -> None:
    for number in range(20):
        shop.sql(
            f"CREATE TABLE t{number} (id int PRIMARY KEY, n int); INSERT INTO t{number} SELECT n, n"
            f" FROM generate_series(1, 100) n;"
            f"CREATE MATERIALIZED VIEW v{number} AS SELECT a.n, count(*) AS many FROM t{number} a JOIN t0 USING (id)"
            f" GROUP BY a.n; CREATE UNIQUE INDEX ON v{number} (n)"
        )
    shop.refresh()
    config, took, bare = shop.config(), list[float](), list[float]()
    for _ in range(20):
        began = time.perf_counter()
        with psycopg.connect(shop.conninfo) as connection:
            connection.execute("SELECT 1")
        bare.append(time.perf_counter() - began)
        run = runs.new("matview refresh", shop.folder / "state")
        began = time.perf_counter()
        with ready.refresh(config, "shop", run, clock.now(), wanted=Wanted()) as plan:
            assert plan.plan.steps == ()
        took.append(time.perf_counter() - began)
    shop.close()
    told = f"best {min(took) * 1000:.1f} ms, median {statistics.median(took) * 1000:.1f} ms"
    print(f"\nno change over 20 views: {told}; a bare connection {min(bare) * 1000:.1f} ms")
    assert min(took) <= 0.05
