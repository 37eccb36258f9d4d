"""Histories for tests: the project's own, run against a database that the test names by a conninfo."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.engine import run as running
from dbops.operations.migrate import catalog, environment, history
from dbops.operations.migrate.catalog import Catalog

FOLDER = Path(__file__).parents[1] / "migrations"
EXPECTED = Path(__file__).parent / "expected"
TARGETS = tuple(sorted(path.stem for path in EXPECTED.glob("*.json")))


def upgrade(conninfo: str, target: str, to: str = "head") -> None:
    _run(conninfo, target, "upgrade", to)


def downgrade(conninfo: str, target: str, to: str = "base") -> None:
    _run(conninfo, target, "downgrade", to)


def _run(conninfo: str, target: str, way: str, to: str) -> None:
    with environment.open_connection(conninfo, running.new("tests", FOLDER)) as connection:
        config = history.alembic(FOLDER, target)
        config.attributes[environment.HELD] = connection
        getattr(command, way)(config, to)


def difference(expected: Catalog, found: Catalog) -> dict[str, tuple[str | None, str | None]]:
    """Name what is not the same, with both definitions; None where it is missing."""
    return {
        name: (expected.get(name), found.get(name))
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    }


def catalog_of(conninfo: str, *, comments: bool = False) -> Catalog:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return catalog.observe(connection, comments=comments)


def expected(target: str) -> Catalog:
    """Return the catalog that the whole history of a target has to lead to."""
    return json.loads((EXPECTED / f"{target}.json").read_text(encoding="utf-8"))


@contextmanager
def rows(conninfo: str) -> Generator[psycopg.Connection]:
    """Connect as the superuser whom no row security binds."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


_CONFIG = """
[platform]
name = "shops"
environment = "test"
state_dir = "state"
{migrations}
[cluster.main]
dsn = "{server}"
password = {{ file = "password" }}
"""
_DATABASE = """
[postgres.{target}]
cluster = "main"
dsn = "{dsn}"
password = {{ file = "password" }}
"""
OWNER = "shop_owner"


@dataclass(frozen=True)
class Databases:
    """Databases of a server that have no schema yet, their owner who is nobody special, and a dbops.toml for them."""

    server: str
    folder: Path
    targets: tuple[str, ...]

    @property
    def config(self) -> Path:
        return self.folder / "dbops.toml"

    def name(self, target: str) -> str:
        return f"{target}_{self.folder.name}"

    def conninfo(self, target: str, **other: str) -> str:
        """Say how the superuser, whom nothing binds, gets in."""
        return make_conninfo(self.server, dbname=self.name(target), **other)

    def configure(self, migrations: Path | None = None) -> None:
        told = conninfo_to_dict(self.server)
        password = self.folder / "password"
        password.write_text(str(told.pop("password")))
        password.chmod(0o600)
        where = f'migrations = "{migrations}"' if migrations else ""
        parts = [_CONFIG.format(server=make_conninfo("", **told), migrations=where)]
        for target in self.targets:
            dsn = make_conninfo("", **{**told, "user": OWNER, "dbname": self.name(target)})
            parts.append(_DATABASE.format(target=target, dsn=dsn))
        self.config.write_text("".join(parts))

    def create(self) -> None:
        """Make them, or make them anew."""
        with rows(self.server) as admin:
            if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", (OWNER,)).rowcount == 0:
                password = sql.Literal(conninfo_to_dict(self.server)["password"])
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(OWNER), password))
            self.drop()
            for target in self.targets:
                names = (sql.Identifier(self.name(target)), sql.Identifier(OWNER))
                admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))

    def drop(self) -> None:
        with rows(self.server) as admin:
            for target in self.targets:
                name = sql.Identifier(self.name(target))
                admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def make_databases(server: str, folder: Path, *targets: str) -> Databases:
    made = Databases(server, folder, targets)
    made.configure()
    made.create()
    return made
