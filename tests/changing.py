"""A database with a history of its own for tests of changes: target `example`, its migrations, its dbops.toml."""

import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.config.load import load
from dbops.config.model import Config
from dbops.engine import run as runs

TARGET = "example"
_OWNER_PASSWORD = "owner's \\ password"
_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_INI = """
[example]
script_location = %(here)s
version_locations = %(here)s/postgres/example
path_separator = newline
file_template = %%(rev)s_%%(slug)s
timezone = UTC
"""


@dataclass(frozen=True)
class Example:
    """A database of a plain role, [postgres.example] of `folder/dbops.toml`; the role of an application beside it."""

    folder: Path
    admin: str  # the superuser's conninfo, into this database
    owner: str
    app: str

    @property
    def toml(self) -> Path:
        return self.folder / "dbops.toml"

    @property
    def config(self) -> Config:
        return load(self.toml).config

    @property
    def history(self) -> Path:
        return self.folder / "migrations" / "postgres" / TARGET

    def run(self, command: str = "migrate") -> runs.Run:
        return runs.new(command, self.folder / "state")

    def connect(self, dsn: str | None = None) -> psycopg.Connection[Any]:
        return psycopg.connect(dsn or self.owner, autocommit=True)

    def execute(self, text: str, *, dsn: str | None = None) -> list[tuple[Any, ...]]:
        """Run SQL as the owner (or another); return the rows, if there are any."""
        with self.connect(dsn) as connection:
            cursor: psycopg.Cursor[Any] = connection.execute(sql.SQL(text))  # pyright: ignore[reportArgumentType]
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return rows

    def revision(self, number: int, body: str, *, about: str = "a revision", head: str = "") -> str:
        """Write a revision file behind the one with the number before; return its id. `head`: further module code."""
        name = f"2026_01_01_{number:04}"
        before = f"2026_01_01_{number - 1:04}" if number > 1 else None
        self.history.mkdir(parents=True, exist_ok=True)
        text = f'"""{about}."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n{head}\n'
        text += f"revision = {name!r}\ndown_revision = {before!r}\n\n\n{body}\n"
        (self.history / f"{name}_revision.py").write_text(text, encoding="utf-8")
        return name


@contextmanager
def example(server: str, folder: Path) -> Generator[Example]:
    """Make the database, its two roles, and the files; `server` is a superuser's conninfo (fixture `server`)."""
    name = f"example_{uuid.uuid4().hex[:8]}"
    owner, app = f"{name}_owner", f"{name}_app"
    with psycopg.connect(server, autocommit=True) as admin:
        for role, rights in ((owner, "LOGIN BYPASSRLS"), (app, "LOGIN")):
            text = sql.SQL("CREATE ROLE {} " + rights + " PASSWORD {}")  # pyright: ignore[reportArgumentType]
            admin.execute(text.format(sql.Identifier(role), sql.Literal(_OWNER_PASSWORD)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner)))
    here = make_conninfo(server, dbname=name)
    with psycopg.connect(here, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(owner)))
        rights = "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}"
        admin.execute(sql.SQL(rights).format(sql.Identifier(owner), sql.Identifier(app)))
        rights = "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT USAGE ON SEQUENCES TO {}"
        admin.execute(sql.SQL(rights).format(sql.Identifier(owner), sql.Identifier(app)))
    places = [make_conninfo(here, user=role, password=_OWNER_PASSWORD) for role in (owner, app)]
    live = Example(folder, here, *places)
    _write(live, server, name, owner)
    yield live
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        for role in (owner, app):
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _write(live: Example, server: str, name: str, owner: str) -> None:
    place = live.folder / "migrations"
    live.history.mkdir(parents=True)
    for file in ("env.py", "script.py.mako"):
        shutil.copy(_MIGRATIONS / file, place / file)
    (place / "alembic.ini").write_text(_INI, encoding="utf-8")
    told = conninfo_to_dict(server)
    secrets = live.folder / "secrets"
    secrets.mkdir(mode=0o700)
    for who, password in (("admin", str(told["password"])), ("owner", _OWNER_PASSWORD)):
        (secrets / who).write_text(password, encoding="utf-8")
        (secrets / who).chmod(0o600)
    bare = make_conninfo("", **{key: value for key, value in told.items() if key not in ("password", "dbname")})
    live.toml.write_text(
        f"""
[platform]
name = "changing"
state_dir = "state"
migrations = "migrations"

[cluster.main]
dsn = '''{make_conninfo(bare, dbname="postgres")}'''
password = {{ file = "secrets/admin" }}

[postgres.{TARGET}]
cluster = "main"
dsn = '''{make_conninfo(bare, dbname=name, user=owner)}'''
password = {{ file = "secrets/owner" }}
""",
        encoding="utf-8",
    )
