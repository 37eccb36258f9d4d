"""A rename that is switched and waits for its contraction: for tests of the gates, and of what comes behind them."""

import json
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.engine import clock
from dbops.operations.migrate import record
from dbops.operations.migrate.compare import ready as compare
from dbops.operations.migrate.life import State
from dbops.operations.migrate.switch import baseline
from dbops.operations.migrate.switch import ready as switch
from dbops.servers import postgres as pg

import changing
import renaming

CHANGE = renaming.CHANGE
GATES = ("verified", "soak", "dependants", "statements", "clients", "backup", "rehearsal")
_PASSWORD = "counting"


def counting_server(home: Path) -> pg.Server:
    """Describe a server that counts statements."""
    settings = (("shared_preload_libraries", "pg_stat_statements"), ("pg_stat_statements.track", "all"))
    return pg.Server(home, durable=False, wal_segment_mb=1, settings=settings)


def conninfo(server: pg.Server) -> str:
    return pg.conninfo(server, password=_PASSWORD)


def running(server: pg.Server) -> Any:
    return pg.running(server, _PASSWORD)


def configure(live: changing.Example, *lines: str) -> None:
    """Add settings of [postgres.example], the last section of dbops.toml."""
    live.toml.write_text(live.toml.read_text() + "\n".join(lines) + "\n")


def expanded(live: changing.Example, rows: int = 50) -> None:
    """Bring it to where old and new are alike."""
    renaming.write(live)
    renaming.upgrade(live)
    with psycopg.connect(live.admin, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    renaming.rows(live, rows)
    renaming.fill(live)


def ask(dbops: Any, live: changing.Example, *words: str | Path, code: int | None = 0) -> dict[str, Any]:
    """Run a verb of migrate on the example: its envelope, and its exit code is the one expected."""
    done: subprocess.CompletedProcess[str]
    done = dbops("migrate", *words, "-t", changing.TARGET, "--config", live.toml, "--output", "json")
    assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def switched(live: changing.Example) -> None:
    """Verify and switch it, within this process."""
    expanded(live)
    carry_out(compare.verify, live)
    carry_out(switch.switch, live, percent=100)
    assert renaming.known(live).state is State.SWITCHED


def carry_out(opening: Any, live: changing.Example, **more: Any) -> None:
    """Do all steps of a verb."""
    where = (live.config, live.toml, changing.TARGET, live.run(), clock.now())
    with opening(*where, change=CHANGE, **more) as ready:
        for step in ready.plan.steps:
            ready.apply(step)


def alone(live: changing.Example) -> None:
    """Wait until nobody is signed in as the owner any more: a backend ends a moment after its client."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND application_name NOT LIKE 'dbops %%'"
    owner = conninfo_to_dict(live.owner)["user"]
    deadline = time.monotonic() + 30
    with live.connect(live.admin) as connection:
        while connection.execute(asked, (owner,)).fetchone() != (0,):
            assert time.monotonic() < deadline, "somebody stays connected"
            threading.Event().wait(0.01)


def quiet(live: changing.Example) -> None:
    """Wait until nobody is connected: what a killed run had sent is done, or undone."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 30
    with live.connect(live.admin) as connection:
        while connection.execute(asked + " AND backend_type = 'client backend'").fetchone() != (0,):
            assert time.monotonic() < deadline, "somebody stays connected"
            threading.Event().wait(0.01)


def rebase(live: changing.Example) -> None:
    """Take the baseline anew, as a switch would."""
    seen = baseline.look_at(live.config, changing.TARGET, live.run())
    told = {"servers": {name: baseline.told(one) for name, one in seen.items()}}
    with live.connect() as connection:
        where = {"target": changing.TARGET, "change": CHANGE}
        record.prove(connection, live.run(), **where, kind="baseline", evidence=told)


def through(*gates: str) -> tuple[str, ...]:
    """Name the options that go through some gates."""
    return (*(word for gate in gates for word in ("--override", gate)), "--reason", "a test")


def gates(envelope: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["passed"] for one in envelope["data"]["gates"]}


def evidence(envelope: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["evidence"] for one in envelope["data"]["gates"]}


def git(live: changing.Example, *words: str) -> None:
    argv = ["git", "-C", str(live.folder), "-c", "user.name=x", "-c", "user.email=x@example.com", *words]
    subprocess.run(argv, check=True, capture_output=True)


def entries(live: changing.Example, kind: str) -> list[dict[str, Any]]:
    with live.connect() as connection:
        life = record.read(connection, target=changing.TARGET)[CHANGE]
    return [dict(one.detail) for one in life.entries if one.kind == kind]


@contextmanager
def named(live: changing.Example, application: str) -> Generator[psycopg.Connection[Any]]:
    """Be connected as the application, under a name."""
    with psycopg.connect(live.app, application_name=application, autocommit=True) as connection:
        yield connection


@contextmanager
def copied(live: changing.Example) -> Generator[str]:
    """Put a copy of the database in its place, as a restore would; afterwards the first one is back."""
    name = str(conninfo_to_dict(live.admin)["dbname"])
    elsewhere = make_conninfo(live.admin, dbname="postgres")
    words = {one: sql.Identifier(one) for one in (name, f"{name}_was")}
    with psycopg.connect(elsewhere, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*words.values()))
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*words.values()))
        try:
            yield name
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(words[name]))
            admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*reversed(words.values())))
