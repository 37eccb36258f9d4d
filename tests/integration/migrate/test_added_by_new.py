"""`migrate new` for what is put on a table or taken from it: each draft is written, runs, and is taken back."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from dbops.engine import clock
from dbops.errors import UsageError
from dbops.operations.migrate.scaffold import ready
from dbops.operations.migrate.scaffold.facts import Wanted

import adding
import changing
from migrating import catalog_of

_TABLES = """
CREATE TYPE state AS ENUM ('open', 'done');
CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE orders (id int NOT NULL, "User" int, total int, price int, fax text NOT NULL, s state, at date);
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts DEFAULT
"""
_KINDS: dict[str, dict[str, Any]] = {
    "index": {"table": "orders", "name": "By User", "definition": '("User") WHERE total > 0'},
    "unique-index": {"table": "parts", "name": "parts_u", "definition": "(id, at)"},
    "check": {"table": "orders", "name": "positive", "definition": "total >= 0"},
    "foreign-key": {"table": "orders", "name": "of_user", "column": ("User",), "definition": "users (id)"},
    "unique": {"table": "orders", "name": "orders_u", "column": ("id", "User")},
    "primary-key": {"table": "orders", "column": ("id", "User")},
    "enum-value": {"type": "public.state", "values": ("it's off",), "definition": "AFTER 'open'"},
    "generated-column": {
        "table": "orders",
        "column": ("Sum",),
        "type": "bigint",
        "up": {"Sum": "r.total * r.price::bigint"},
    },
    "drop-column": {"table": "orders", "column": ("fax", "at"), "fill": "''"},
    "drop-table": {"table": "users"},
    "sql": {"table": "orders", "sql_up": ("COMMENT ON TABLE orders IS 'x'",), "sql_down": ("SELECT 1",)},
}


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        adding.first(example, _TABLES)
        adding.run(example)
        yield example


def new(live: changing.Example, kind: str, options: dict[str, Any]) -> None:
    wanted = Wanted(changing.TARGET, f"try-{kind}", "none", kind=kind, **options)
    with ready.new(live.config, live.toml, wanted, live.run(), clock.now()) as opened:
        for step in opened.plan.steps:
            opened.apply(step)


@pytest.mark.parametrize("kind", _KINDS)
def test_what_is_written_runs_and_is_taken_back(live: changing.Example, kind: str) -> None:
    before = catalog_of(live.admin)
    new(live, kind, _KINDS[kind])
    adding.run(live)
    after = catalog_of(live.admin)
    assert (after == before) is (kind in ("drop-table", "sql"))
    adding.run(live, "downgrade", "-1")
    assert (catalog_of(live.admin) == before) is (kind != "enum-value")


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("exclude", {"table": "orders"}, "cannot add an EXCLUDE constraint"),
        ("primary-key", {"table": "users", "column": ("id",)}, "has a primary key already"),
        ("enum-value", {"type": "public.state", "values": ("done",)}, "has the value 'done' already"),
        ("enum-value", {"type": "public.mood", "values": ("x",)}, "there is no enum type public.mood"),
        ("enum-value", {"type": "public.state", "values": ("x",), "definition": "first"}, "where the value comes"),
        ("unique", {"table": "orders", "name": "u", "column": ("no",)}, "has no column 'no'"),
        ("generated-column", {"table": "orders", "column": ("a",), "type": "int", "up": {"b": "1"}}, "follows from"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(
    live: changing.Example, kind: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        new(live, kind, options)
    assert len(list(live.history.glob("*.py"))) == 1


def test_a_generated_column_follows_whatever_is_written(live: changing.Example) -> None:
    live.execute("INSERT INTO orders (id, total, price, fax) VALUES (1, 2, 3, '')")
    new(live, "generated-column", _KINDS["generated-column"])
    adding.run(live)
    live.execute("INSERT INTO orders (id, total, price, fax, \"Sum\") VALUES (2, 4, 5, '', 99)")
    assert live.execute('SELECT id, "Sum" FROM orders ORDER BY id') == [(1, None), (2, 20)]
    live.execute("UPDATE orders SET price = 7")
    assert live.execute('SELECT id, "Sum" FROM orders ORDER BY id') == [(1, 14), (2, 28)]
