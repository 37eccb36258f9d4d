"""A cluster under backup for tests: its own server, stanza, vault and dbops.toml, with rows whose commits are known."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import psycopg

from dbops.config.load import load
from dbops.config.model import Config
from dbops.engine import run as runs
from dbops.servers import account, postgres, stanza
from dbops.stores import pgbackrest

TARGET = "main"
PASSWORD = "it's a \\ test"
_TABLE = """
    CREATE TABLE IF NOT EXISTS kept (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL)"""


@dataclass(frozen=True)
class Cluster:
    """A server in `folder/postgres` with its stanza in `folder/pgbackrest`, as `folder/dbops.toml` tells it."""

    folder: Path
    server: postgres.Server
    stanza: stanza.Stanza
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of [cluster.main]

    @property
    def toml(self) -> Path:
        return self.folder / "dbops.toml"

    @property
    def config(self) -> Config:
        return load(self.toml).config

    @property
    def conninfo(self) -> str:
        return postgres.conninfo(self.server, password=PASSWORD)

    @property
    def repository(self) -> Path:
        return self.stanza.home / "repo"

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.conninfo, autocommit=True)

    def run(self, command: str = "backup", *, plan_only: bool = False) -> runs.Run:
        return replace(runs.new(command, self.folder / "state"), plan_only=plan_only)

    def pgbackrest(self, command: str, *options: str, ok: tuple[int, ...] = (0,)) -> Any:
        """Run the bare tool beside ours."""
        return pgbackrest.run(self.config.cluster[TARGET], command, *options, target=TARGET, timeout=300, ok=ok)

    def keep(self, note: str) -> datetime:
        """Commit one row; return a moment after its commit and before any later one."""
        with self.connect() as connection:
            connection.execute(_TABLE)
            connection.execute("INSERT INTO kept (note) VALUES (%s)", (note,))
            row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        return row[0]

    def notes(self) -> list[str]:
        with self.connect() as connection:
            return [note for (note,) in connection.execute("SELECT note FROM kept ORDER BY id")]

    def quiet(self) -> None:
        """Let it archive nothing by itself: behind a repository that is put back, that would be a gap."""
        with self.connect() as connection:
            for setting in ("archive_timeout = 0", "autovacuum = off"):
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")

    def switch(self) -> None:
        """End the segment, and wait until it is archived."""
        with self.connect() as connection:
            connection.execute("SELECT pg_create_restore_point('switching')")  # an empty segment is not switched
            row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
            assert row is not None
            while True:
                found = connection.execute("SELECT last_archived_wal >= %s FROM pg_stat_archiver", row).fetchone()
                if found is not None and found[0]:
                    return
                connection.execute("SELECT pg_sleep(0.02)")


@contextmanager
def under_backup(
    folder: Path, *, segment_mb: int = 1, settings: tuple[tuple[str, str], ...] = (), **more: Any
) -> Generator[Cluster]:
    """Start a cluster whose WAL is archived; there is no backup yet. `more` goes into [cluster.main]."""
    home = stanza.Stanza(folder / "pgbackrest", TARGET)
    command = stanza.archive_command(home)
    server = postgres.Server(
        folder / "postgres",
        durable=False,
        wal_segment_mb=segment_mb,
        archive_command=command,
        settings=settings,
    )
    live = Cluster(folder, server, home, more)
    with postgres.running(server, PASSWORD):
        stanza.create(home, server, PASSWORD, target=TARGET)
        # what fails once is retried after 15 s unless told otherwise, and these tests break things on purpose
        account.write_file(home.config, home.config.read_text().replace("[main]", "job-retry=0\n[main]"))
        write_toml(live)
        yield live


def write_toml(live: Cluster) -> None:
    secret = live.folder / "superuser"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    (live.folder / "vault").mkdir(exist_ok=True)
    dsn = {
        "dsn": postgres.conninfo(live.server),
        "password": {"file": str(secret)},
        "stanza": live.stanza.name,
        "pgbackrest_config": str(live.stanza.config),
        "data_directory": str(live.server.data),
        "run_as": account.name(),
        **live.more,
    }
    sections = {
        "platform": {"name": "test", "state_dir": str(live.folder / "state")},
        f"cluster.{TARGET}": dsn,
        "vault": {"url": f"file://{live.folder / 'vault'}"},
    }
    lines = [
        line
        for name, values in sections.items()
        for line in (f"[{name}]", *(f"{k} = {_toml(v)}" for k, v in values.items()))
    ]
    live.toml.write_text("\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in table.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in cast("list[Any]", value)) + "]"
    return json.dumps(value)
