"""A database with a table of events by month, a vault beside it, and the retiring of one from the other."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import conninfo

from dbops.config.model import Config
from dbops.copies import artifact
from dbops.engine import run as running
from dbops.engine.finding import Finding
from dbops.engine.plan import Plan
from dbops.operations.partitions import retire_ready
from dbops.operations.partitions.facts import Hold, Name, Policies, Wish
from dbops.operations.partitions.retire_facts import Action

import vaults
from migrating import OWNER, Databases, upgrade

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
GRACED = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('dbops_grace') AND relkind = 'r'"
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
        found = self.sql(GRACED)
        return sorted(str(name).removeprefix("events_") for (name,) in found)

    def artifacts(self) -> list[artifact.Artifact]:
        found = [one for one in artifact.listing(vaults.store(self.vault)) if isinstance(one, artifact.Artifact)]
        return sorted(found, key=lambda one: one.manifest.finished)


_PARTITIONED = """
[vault]
url = "file://{folder}/vault"

[postgres.audit.partition.audit_events]
policies = {{ table = "retention_policies", kind = "event_type" }}
retention = "30 days"
grace = "{grace}"
"""
_AUDIT = """
    INSERT INTO retention_policies (event_type, retention_days, deletion_strategy)
    VALUES ('login', 30, 'archive'), ('change', 365, 'archive');
    CREATE TABLE audit_events_2020_01 PARTITION OF audit_events FOR VALUES FROM ('2020-01-01Z') TO ('2020-02-01Z');
    CREATE TABLE audit_events_2020_02 PARTITION OF audit_events FOR VALUES FROM ('2020-02-01Z') TO ('2020-03-01Z');
    CREATE TABLE audit_events_2099_01 PARTITION OF audit_events FOR VALUES FROM ('2099-01-01Z') TO ('2099-02-01Z');
    INSERT INTO audit_events
           (id, "timestamp", event_type, actor_type, actor_id, action, resource_type, result, checksum)
    SELECT md5(n::text)::uuid, '2020-01-01Z'::timestamptz + n * '20 minutes'::interval,
           CASE n % 2 WHEN 0 THEN 'login' ELSE 'change' END, 'user', md5(n::text)::uuid, 'read', 'file', 'success',
           md5(n::text) FROM generate_series(0, 4319) n"""


@dataclass(frozen=True)
class Audit:
    """The platform's audit database with two months that are long over; its owner is nobody special."""

    databases: Databases

    @property
    def folder(self) -> Path:
        return self.databases.folder

    @property
    def config(self) -> Path:
        return self.databases.config

    def configure(self, grace: str = "0s", more: str = "") -> None:
        self.databases.configure()
        with self.config.open("a") as file:
            file.write(_PARTITIONED.format(folder=self.folder, grace=grace) + more)

    def fill(self) -> None:
        """Make its tables and rows anew, and the vault empty."""
        shutil.rmtree(self.folder / "vault", ignore_errors=True)
        (self.folder / "vault").mkdir()
        self.databases.create()
        upgrade(self.databases.conninfo("audit", user=OWNER), "audit")
        self.sql(f"SET ROLE {OWNER}; {_AUDIT}")

    def sql(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.databases.conninfo("audit"), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def attached(self) -> list[str]:
        found = self.sql("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass")
        return sorted(str(name).removeprefix("audit_events_") for (name,) in found)

    def graced(self) -> list[str]:
        found = self.sql(GRACED)
        return sorted(str(name).removeprefix("audit_events_") for (name,) in found)

    def copies(self) -> dict[str, tuple[int, str]]:
        """Tell rows and digest of the newest copy of each partition; every copy must be whole, down to its content."""
        store = vaults.store(self.folder / "vault")
        found = [one for one in artifact.listing(store) if isinstance(one, artifact.Artifact)]
        for one in found:
            assert artifact.verify(store, one, depth="content").findings == ()
        found.sort(key=lambda one: one.manifest.finished)
        assert len({one.manifest.extra["name"] for one in found}) == len(found), "one copy of each is enough"
        return {m.extra["name"][-7:]: (m.counts["rows"], str(m.digest)) for m in (one.manifest for one in found)}
