"""A database with a table of events by month, a vault beside it, and the retiring of one from the other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import conninfo

import vaults
from dbops.config.model import Config
from dbops.copies import artifact
from dbops.engine import run as running
from dbops.engine.finding import Finding
from dbops.engine.plan import Plan
from dbops.operations.partitions import retire_ready
from dbops.operations.partitions.facts import Hold, Name, Policies, Wish
from dbops.operations.partitions.retire_facts import Action

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
_EVENTS = """
    CREATE TABLE people (id int PRIMARY KEY);
    INSERT INTO people SELECT generate_series(1, 10);
    CREATE TABLE events (
        id int, at timestamptz NOT NULL, kind text, who int REFERENCES people, PRIMARY KEY (id, at)
    ) PARTITION BY RANGE (at);
    CREATE TABLE events_2026_01 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE events_2026_02 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    CREATE TABLE events_2026_05 PARTITION OF events FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
    CREATE TABLE events_2026_06 PARTITION OF events FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
    CREATE TABLE events_2026_07 PARTITION OF events FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
    INSERT INTO events SELECT n, '2026-01-01Z'::timestamptz + n * '4 hours'::interval, 'k' || n % 3, n % 10 + 1
      FROM generate_series(0, 353) n;
    GRANT SELECT, INSERT ON events_2026_01 TO PUBLIC"""


def wished(
    grace: timedelta,
    *,
    table: Name = ("public", "events"),
    retention: timedelta | None = None,
    policies: Policies | None = None,
    action: str = "archive",
    holds: tuple[Hold, ...] = (),
    zone: str = "UTC",
) -> Wish:
    return Wish(table, retention=retention, policies=policies, action=action, grace=grace, holds=holds, zone=zone)


class Place:
    """A database with a table of events, and a vault beside it."""

    def __init__(self, database: str, folder: Path) -> None:
        self.database, self.owner, self.folder = database, database, folder
        self.vault = folder / "vault"
        self.vault.mkdir(exist_ok=True)
        self.connection = psycopg.connect(database, autocommit=True)
        self.wish = wished(WEEK, retention=timedelta(days=60))
        self.extra: dict[str, object] = {}
        self.sql(_EVENTS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def config(self) -> Config:
        administrator, owner = self._dsn(self.database), self._dsn(self.owner)
        return Config.model_validate(
            {
                "platform": {"name": "x"},
                "cluster": {"main": administrator},
                "postgres": {"app": {"cluster": "main", **owner}},
                "vault": {"url": f"file://{self.vault}", **self.extra},
            }
        )

    def _dsn(self, whole: str) -> dict[str, object]:
        told = conninfo.conninfo_to_dict(whole)
        file = self.folder / f"password-{told['user']}"
        file.write_text(str(told.pop("password")))
        file.chmod(0o600)
        return {"dsn": conninfo.make_conninfo("", **told), "password": {"file": str(file)}}

    def retire(
        self, now: datetime = NOW, *, steps: int | None = None, plan_only: bool = False
    ) -> tuple[Plan[Action], list[Finding]]:
        told: list[Finding] = []
        run = running.new("partition retire", self.folder, plan_only=plan_only)
        opened = retire_ready.retire(self.config(), "app", [self.wish], run, now=now, told=told)
        with opened as ready:
            for step in () if plan_only else ready.plan.steps[:steps]:
                ready.apply(step)
            return ready.plan, [*ready.findings, *told]

    def sql(self, query: str) -> list[tuple[object, ...]]:
        cursor = self.connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []

    def attached(self) -> list[str]:
        found = self.sql("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass")
        return sorted(str(name).removeprefix("events_") for (name,) in found)

    def graced(self) -> list[str]:
        found = self.sql(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('dbops_grace') AND relkind = 'r'"
        )
        return sorted(str(name).removeprefix("events_") for (name,) in found)

    def artifacts(self) -> list[artifact.Artifact]:
        found = [one for one in artifact.listing(vaults.store(self.vault)) if isinstance(one, artifact.Artifact)]
        return sorted(found, key=lambda one: one.manifest.finished)
