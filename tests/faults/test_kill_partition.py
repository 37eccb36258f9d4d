"""kill -9 anywhere in `partition ensure`: the next run finishes the work, the end is the same, and no row is lost."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from killing import Zygote, kills, moment
from partitioning import TARGET, Shop, holding

_CHAIN = 5
_TABLES = ("one", "two")
_MAKE = """
    CREATE TABLE tenants (tenant text PRIMARY KEY); INSERT INTO tenants VALUES ('a');
    CREATE TABLE {0} (id bigint NOT NULL, at timestamptz NOT NULL, tenant text NOT NULL REFERENCES tenants,
        PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE INDEX ON {0} (at); ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; ALTER TABLE {0} FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON {0} USING (tenant = current_setting('app.tenant')); GRANT SELECT ON {0} TO PUBLIC;
    CREATE TABLE {0}_old PARTITION OF {0} FOR VALUES FROM ('2024-01-01 00:00+00') TO ($now);
    INSERT INTO {0} SELECT n, '2024-01-01'::timestamptz + n * interval '1 hour', 'a' FROM generate_series(1, 500) n"""
_STATE = """
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), c.relacl::text, c.relrowsecurity, c.relforcerowsecurity,
           (SELECT array_agg(polname::text ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid),
           (SELECT array_agg(conname::text ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid),
           (SELECT array_agg(c2.relname::text ORDER BY c2.relname) FROM pg_index i
              JOIN pg_class c2 ON c2.oid = i.indexrelid WHERE indrelid = c.oid),
           (SELECT array_agg(inhdetachpending) FROM pg_inherits WHERE inhrelid = c.oid)
      FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1"""
_ROWS = "SELECT count(*), md5(string_agg(id::text || at::text, ',' ORDER BY id)) FROM one"


@pytest.fixture
def shop(database: str, folder: Path) -> Generator[Shop]:
    made = Shop(database, folder)
    toml = folder / "dbops.toml"
    place = made.config.postgres[TARGET]
    where = f"dsn = {json.dumps(place.dsn)}\npassword = {{ file = {json.dumps(str(folder / 'admin'))} }}\n"
    tables = "".join(f"[postgres.{TARGET}.partition.{name}]\npremake = 4\n" for name in _TABLES)
    toml.write_text(
        f'[platform]\nname = "test"\nstate_dir = {json.dumps(str(folder / "state"))}\n[cluster.main]\n{where}'
        f'[postgres.{TARGET}]\ncluster = "main"\n{where}{tables}'
    )
    yield made
    made.close()


def reset(shop: Shop, *, interrupted: bool) -> None:
    shop.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    for name in _TABLES:
        text = _MAKE if name == "one" else _MAKE.partition(";\n")[2]
        month = shop.sql("SELECT date_trunc('month', now(), 'UTC')::text")[0][0]
        shop.connection.execute(text.replace("{0}", name).replace("$now", f"'{month}'").encode())
    if interrupted:
        with (
            holding(shop.conninfo, ["SELECT count(*) FROM one"]),
            psycopg.connect(shop.conninfo, autocommit=True) as other,
        ):
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(errors.LockNotAvailable):
                other.execute("ALTER TABLE one DETACH PARTITION one_old CONCURRENTLY")


def state(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.sql(_STATE)


def test_killed_runs_are_finished_by_the_next_one(
    shop: Shop, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    ensure = ("partition", "ensure", "--yes", "--config", shop.folder / "dbops.toml")
    done, round_, clean_s = 0, 0, 0.0
    wanted: dict[bool, list[tuple[Any, ...]]] = {}
    for interrupted in (False, True):
        reset(shop, interrupted=interrupted)
        clean_s = max(clean_s, zygote.finished(*ensure).seconds)
        wanted[interrupted] = state(shop)
    reset(shop, interrupted=False)
    rows = shop.sql(_ROWS)
    while done < kills(60):
        interrupted = round_ % 2 == 1
        round_ += 1
        reset(shop, interrupted=interrupted)
        for _ in range(_CHAIN):
            ended = zygote.run(*ensure, kill_after=moment(clean_s))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
        zygote.finished(*ensure)
        assert state(shop) == wanted[interrupted]
        if not interrupted:
            assert shop.sql(_ROWS) == rows
        else:
            assert shop.sql("SELECT count(*) FROM one_old") == [(500,)]
        second = zygote.finished(*ensure[:2], "--plan", *ensure[2:], "--output", "json")
        assert json.loads(second.out)["data"]["steps"] == []
    record_property("kills", f"partition ensure: {done} kills, a clean run takes {clean_s:.2f} s")


def test_three_crons_at_once_end_as_one(shop: Shop, zygote: Zygote) -> None:
    ensure = ("partition", "ensure", "--yes", "--config", str(shop.folder / "dbops.toml"))
    reset(shop, interrupted=False)
    zygote.finished(*ensure)
    wanted = state(shop)
    program = str(Path(sys.executable).with_name("dbops"))
    for _ in range(3):
        reset(shop, interrupted=False)
        crons = [
            subprocess.Popen([program, *ensure], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)
        ]
        codes = [cron.wait(60) for cron in crons]
        assert set(codes) <= {0, 11}
        assert 0 in codes
        assert state(shop) == wanted
