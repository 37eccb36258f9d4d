"""A cluster that nothing backs up yet, for tests: its server, and a dbops.toml that says how it is to be."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql

from dbops.config.load import load
from dbops.config.model import Config
from dbops.engine import run as runs
from dbops.engine.run import Progress, Run
from dbops.operations.clusters.init import ready
from dbops.servers import account, postgres

TARGET = "main"
PASSWORD = "it's a \\ test"


@dataclass(frozen=True)
class Bare:
    """A server in `folder/postgres`; pgBackRest's configuration is to come into `folder/pgbackrest`."""

    folder: Path
    server: postgres.Server
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def toml(self) -> Path:
        return self.folder / "dbops.toml"

    @property
    def conf(self) -> Path:
        return self.folder / "pgbackrest" / "pgbackrest.conf"

    @property
    def repository(self) -> Path:
        return self.folder / "pgbackrest" / "repo"

    @property
    def include(self) -> Path:
        return self.conf.with_name("pgbackrest.conf.d") / f"dbops-{TARGET}.conf"

    @property
    def config(self) -> Config:
        return load(self.toml).config

    def run(self, *, plan_only: bool = False) -> Run:
        return replace(runs.new("backup init", self.folder / "state"), plan_only=plan_only)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(postgres.conninfo(self.server, password=PASSWORD), autocommit=True)

    def setting(self, name: str) -> str:
        with self.connect() as connection:
            row = connection.execute("SELECT reset_val FROM pg_settings WHERE name = %s", (name,)).fetchone()
        assert row is not None
        return str(row[0])

    def alter(self, name: str, value: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            connection.execute("SELECT pg_reload_conf()")

    def restart(self) -> None:
        """Restart it as its starter does."""
        postgres.stop(self.server)
        postgres.start(self.server)

    def init(self, *, restart: bool = False) -> list[str]:
        """Run `backup init`; return the steps that it did."""
        with ready.init(self.config, TARGET, self.run(), restart=restart, toml=self.toml, on_progress=_unheard) as one:
            for step in one.plan.steps:
                one.guard()
                one.apply(step)
            return [step.id for step in one.plan.steps]

    def codes(self) -> set[str]:
        """Audit it; return the codes of what deviates."""
        _, findings = ready.audit(self.config, [TARGET], self.run(plan_only=True))
        return {finding.code for finding in findings}


def _unheard(_progress: Progress) -> None: ...


@contextmanager
def bare(folder: Path, *, encrypted: bool = False, archiving: bool = False, **more: Any) -> Generator[Bare]:
    """Start a cluster that nobody backs up; `archiving`: with a plain `cp`, as many do it."""
    account.make_folder(folder / "pgbackrest")
    (folder / "pass").write_text("a pass = of its own")
    (folder / "pass").chmod(0o600)
    repository: dict[str, Any] = {"path": str(folder / "pgbackrest" / "repo")}
    if encrypted:
        repository["cipher"] = {"file": str(folder / "pass")}
    command = "cp %p /dev/null" if archiving else None
    server = postgres.Server(folder / "postgres", durable=False, wal_segment_mb=1, archive_command=command)
    live = Bare(folder, server, {"repository": {"1": repository}, "objectives": {"rpo": "40s"}, **more})
    with postgres.running(server, PASSWORD):
        write_toml(live)
        yield live


def write_toml(live: Bare, **more: Any) -> None:
    secret = live.folder / "superuser"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    cluster: dict[str, Any] = {
        "dsn": postgres.conninfo(live.server),
        "password": {"file": str(secret)},
        "stanza": TARGET,
        "pgbackrest_config": str(live.conf),
        **live.more,
        **more,
    }
    lines = ["[platform]", 'name = "test"', f"state_dir = {_toml(str(live.folder / 'state'))}"]
    lines += [f"[cluster.{TARGET}]", *(f"{name} = {_toml(value)}" for name, value in cluster.items())]
    live.toml.write_text("\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in table.items()) + "}"
    return json.dumps(value)
