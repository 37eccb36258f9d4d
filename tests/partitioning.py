"""A database with partitioned tables for tests: ensured, listed and judged in this process, at any hour."""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dbops.config.model import Config
from dbops.engine import journal as journals
from dbops.engine import run as runs
from dbops.engine.finding import Finding
from dbops.engine.plan import Plan, Ready
from dbops.engine.run import execute
from dbops.operations.partitions import observe, ready
from dbops.operations.partitions.facts import Facts, Parent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TARGET = "shop"

EVENTS: LiteralString = """
    CREATE TABLE events (id bigint NOT NULL, at timestamptz NOT NULL, tenant text NOT NULL, note text,
                         PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE INDEX events_at ON events (at);"""


class Shop:
    """A database called shop, as a configuration and a superuser's connection know it."""

    def __init__(self, conninfo: str, folder: Path, **tables: dict[str, Any]) -> None:
        self.conninfo, self.folder = conninfo, folder
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.configure(**tables)

    def configure(self, **tables: dict[str, Any]) -> None:
        told = conninfo_to_dict(self.conninfo)
        secret = self.folder / "admin"
        secret.write_text(f"{told.pop('password')}\n")
        secret.chmod(0o600)
        dsn = " ".join(f"{key}='{value}'" for key, value in told.items())
        place: dict[str, Any] = {"dsn": dsn, "password": {"file": str(secret)}}
        named = {name.replace("__", "."): one for name, one in tables.items()}
        self.config = Config.model_validate(
            {
                "platform": {"name": "test", "state_dir": str(self.folder / "state")},
                "cluster": {"main": place},
                "postgres": {TARGET: place | {"cluster": "main", "partition": named}},
            }
        )

    def close(self) -> None:
        self.connection.close()

    def sql(self, text: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []

    def run(self, *, plan_only: bool = False) -> runs.Run:
        return replace(runs.new("partition ensure", self.folder / "state"), plan_only=plan_only)

    def opened(self, *, plan_only: bool = False, now: datetime = NOW, since: datetime | None = None) -> Any:
        return ready.ensure(self.config, TARGET, self.run(plan_only=plan_only), now, since=since)

    def plan(self, now: datetime = NOW, since: datetime | None = None) -> Plan[Any]:
        with self.opened(plan_only=True, now=now, since=since) as one:
            return one.plan

    def ensure(self, now: datetime = NOW, since: datetime | None = None) -> Ready[Any]:
        with self.opened(now=now, since=since) as one:
            carry_out(self, one)
            return one

    def facts(self, *, details: bool = True) -> Facts:
        asked = [ready.place(name) for name in self.config.postgres[TARGET].partition]
        return observe.observe(self.connection, target=TARGET, asked=asked, details=details)

    def parent(self, name: str = "events", *, details: bool = True) -> Parent:
        found = self.facts(details=details).parent(ready.place(name))
        assert found is not None
        return found

    def findings(self, now: datetime = NOW) -> list[Finding]:
        return ready.checked(self.config, [TARGET], self.run(), now)[0]

    def codes(self, now: datetime = NOW) -> list[str]:
        return [finding.code for finding in self.findings(now)]

    def bounds(self, name: str = "events") -> list[str]:
        return [one.bound for one in self.parent(name, details=False).attached]


def carry_out(shop: Shop, one: Ready[Any]) -> None:
    if one.plan.steps:
        run = shop.run()
        with journals.opened(run.state_dir, run.id, TARGET, command=run.command) as log:
            execute(one, log, lambda _progress: None)


@contextmanager
def holding(conninfo: str, statements: Sequence[LiteralString]) -> Any:
    """Keep a transaction open that has done these statements."""
    with psycopg.connect(conninfo) as other:
        for text in statements:
            other.execute(text)
        yield other
        other.rollback()
