"""A whole database, rows included, on a throw-away server; and a configuration that leads there and nowhere else.

The process that runs revisions reads its configuration from a file. So the copy has a file of its own.
"""

import json
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops import process, units
from dbops.config.load import load
from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify
from dbops.operations.migrate import history
from dbops.operations.migrate.forecast import scratch
from dbops.operations.migrate.forecast.copy import client, close_ways_out, uncounted
from dbops.servers import account
from dbops.servers import postgres as servers
from dbops.stores import databases, postgres
from dbops.stores.postgres import Connection, translated

_SETTINGS = (("autovacuum", "off"), ("max_wal_size", "4GB"), ("track_io_timing", "off"))
_TIMES = 3  # the dump, the copy, and what a change adds to it
_WHAT = (
    *("--format=custom", "--compress=1", "--no-tablespaces", "--no-subscriptions", "--no-security-labels"),
    "--lock-wait-timeout=4s",  # it takes ACCESS SHARE on every table, and must not queue behind DDL
)
# With a user mapping, a foreign table or a trigger of the copy could reach what the database itself reaches.
# Schema public is there already; whether a dump would make it anew depends on its version.
_LEFT_OUT = re.compile(r"^\d+; \d+ \d+ (USER MAPPING |SCHEMA - public )")
_ROLES = """
    SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolinherit FROM pg_roles
     WHERE rolname !~ '^pg_'"""
_MEMBERS = """
    SELECT DISTINCT r.rolname, m.rolname FROM pg_auth_members a
      JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member"""


@dataclass(frozen=True, slots=True)
class Copy:
    """Where it is: as `config` and `path` of any verb of migrate."""

    config: Config
    path: Path
    admin: str  # conninfo, into the database


@contextmanager
def copied(config: Config, path: Path, target: str, run: Run) -> Generator[Copy]:
    """Dump the database and restore it on a server that ends with the block."""
    with scratch.folder() as place, databases.administrator(config, target, run) as live:
        size = database_size(live)
        _refuse_a_full_disk(place, size, target)
        work = place / "work"
        work.mkdir(mode=0o700)
        server = servers.Server(place / scratch.SERVER, durable=False, settings=_SETTINGS)
        password = secrets.token_urlsafe(24)
        with servers.running(server, password):
            admin = servers.conninfo(server, password=password)
            owner = str(conninfo_to_dict(postgres.dsn(config.postgres[target], target=target))["user"])
            dbname = postgres.database_name(config.postgres[target], target=target)
            with translated(target):
                _roles(live, admin, owner, password)
                _create(live, admin, dbname, owner)
                _public(live, make_conninfo(admin, dbname=dbname))
            there = make_conninfo(admin, dbname=dbname, client_encoding=postgres.ENCODING)
            cluster = config.cluster[config.postgres[target].cluster]
            _bring(postgres.dsn(cluster, target=target, dbname=dbname), there, work / "dump", target)
            made = _config(config, path, target, work, there=there, owner=owner, password=password)
            yield Copy(load(made).config, made, there)


@contextmanager
def brought(config: Config, path: Path, target: str, there: str) -> Generator[Copy]:
    """Take a copy that somebody else has brought: `there` leads into it as its superuser, and asks no password."""
    owner = str(conninfo_to_dict(postgres.dsn(config.postgres[target], target=target))["user"])
    there = make_conninfo(there, client_encoding=postgres.ENCODING)
    with scratch.folder() as place:
        work = place / "work"
        work.mkdir(mode=0o700)
        with translated(target), psycopg.connect(there, autocommit=True) as connection:
            close_ways_out(connection)
        made = _config(config, path, target, work, there=there, owner=owner, password=None)
        yield Copy(load(made).config, made, there)


def database_size(live: Connection) -> int:
    row = live.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def _refuse_a_full_disk(place: Path, size: int, target: str) -> None:
    free = shutil.disk_usage(place).free
    if free < _TIMES * size:
        raise CouldNotVerify(
            f"a copy of {units.size(size)} needs {units.size(_TIMES * size)}; {place.parent} has {units.size(free)}",
            hint="TMPDIR names the folder of the copy",
            target=target,
        )


def _roles(live: Connection, admin: str, owner: str, password: str) -> None:
    """Make the roles that own and may use what is copied; only the owner can sign in."""
    flags = ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "INHERIT")
    with psycopg.connect(admin, autocommit=True) as connection:
        there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for name, *has in live.execute(_ROLES):
            if name in there:
                continue
            words = " ".join(flag if one else f"NO{flag}" for flag, one in zip(flags, has, strict=True))
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN " + words).format(sql.Identifier(name)))  # pyright: ignore[reportArgumentType]
            there.add(name)
        for role, member in live.execute(_MEMBERS):
            if role in there and member in there:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(member)))
        login = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
        connection.execute(login.format(sql.Identifier(owner), sql.Literal(password)))


def _create(live: Connection, admin: str, dbname: str, owner: str) -> None:
    """Make the database, of the same encoding: not every text of another one has a place in UTF8."""
    names = (sql.Identifier(dbname), sql.Identifier(owner))
    row = live.execute("SELECT current_setting('server_encoding')").fetchone()
    encoding = str(row[0]) if row else "UTF8"
    with psycopg.connect(admin, autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (dbname,)).fetchone()
        text = "ALTER DATABASE {} OWNER TO {}" if there else "CREATE DATABASE {} OWNER {} TEMPLATE template0"
        made = sql.SQL(text).format(*names)
        if not there and encoding != "UTF8":
            made += sql.SQL(" ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'").format(encoding)
        connection.execute(made)


def _public(live: Connection, there: str) -> None:
    row = live.execute("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'").fetchone()
    with psycopg.connect(there, autocommit=True) as connection:
        if row is not None:  # regrole is quoted as SQL needs it
            connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO " + row[0]))


def _bring(live_dsn: str, there: str, dump: Path, target: str) -> None:
    """Go by way of a file: its table of contents has to be read before anything is restored."""
    contents = dump.with_suffix(".list")
    try:
        client("pg_dump", uncounted(live_dsn), *_WHAT, f"--file={dump}")
        listed = process.run([process.find("pg_restore"), "--list", dump]).out.decode()
        kept = [line for line in listed.splitlines() if not _LEFT_OUT.match(line)]
        account.write_file(contents, "\n".join([*kept, ""]), ours=True)
        client("pg_restore", there, "--exit-on-error", f"--use-list={contents}", dump)
    except process.ProgramFailed as error:
        raise CouldNotVerify(
            f"the database could not be copied into a throw-away server: {error.message}",
            hint="[cluster.NAME] dsn has to read all of it; version and extensions of its server have to be here too",
            target=target,
        ) from error
    dump.unlink()
    with translated(target), psycopg.connect(there, autocommit=True) as connection:
        connection.execute("ANALYZE")  # a dump has no statistics, and plans go by them


def _config(
    config: Config, path: Path, target: str, work: Path, *, there: str, owner: str, password: str | None
) -> Path:
    """Write the configuration of the copy, with a copy of the revisions beside it."""
    shutil.copytree(
        history.folder(config, path), work / "migrations", ignore=shutil.ignore_patterns("__pycache__", ".git")
    )
    signs_in = ""
    if password is not None:
        account.write_file(work / "password", password, ours=True)
        signs_in = 'password = { file = "password" }'
    told: dict[str, Any] = conninfo_to_dict(there)
    bare = {name: value for name, value in told.items() if name != "password"}
    places = {
        "cluster": make_conninfo("", **{**bare, "dbname": "postgres"}),
        "owner": make_conninfo("", **{**bare, "user": owner}),
    }
    lines = (
        "[platform]",
        'name = "rehearsal"',
        'state_dir = "state"',
        'migrations = "migrations"',
        "[cluster.copy]",
        f"dsn = {json.dumps(places['cluster'])}",
        signs_in,
        f"[postgres.{json.dumps(target)}]",
        'cluster = "copy"',
        f"dsn = {json.dumps(places['owner'])}",
        signs_in,
        f"migrations = {json.dumps(history.section(config, target))}",
        'soak = "0s"',
        "old_clients = []",
    )
    account.write_file(work / "dbops.toml", "\n".join([*lines, ""]), ours=True)
    return work / "dbops.toml"
