"""The schema of a live database, without its rows, in a scratch database."""

from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops import process
from dbops.errors import CouldNotVerify
from dbops.stores.postgres import Connection, translated

_WHAT = (
    *("--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-subscriptions"),
    "--no-security-labels",
    "--lock-wait-timeout=4s",  # it takes ACCESS SHARE on every table, and must not queue behind DDL
)
_UNCOUNTED = "-c pg_stat_statements.track=none"
_MAPPINGS = "SELECT CASE WHEN umuser <> 0 THEN usename END, srvname FROM pg_user_mappings"


def copy(live: Connection, live_dsn: str, scratch_dsn: str, *, target: str) -> None:
    """Copy it. What the scratch server cannot hold (an extension it lacks) is told as: could not verify."""
    _roles(live, scratch_dsn, target)
    try:
        dumped = client("pg_dump", uncounted(live_dsn), *_WHAT)
        client("psql", scratch_dsn, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", given=_without_public(dumped))
    except process.ProgramFailed as error:
        raise CouldNotVerify(
            f"the schema could not be copied into a scratch server: {error.message}",
            hint="pg_dump has to see the whole schema; version and extensions of the server have to be installed here",
            target=target,
        ) from error
    with translated(target), psycopg.connect(scratch_dsn, autocommit=True) as connection:
        close_ways_out(connection)


def close_ways_out(connection: psycopg.Connection[Any]) -> None:
    """Drop the user mappings of a copy: through a foreign table it would write where the live database does."""
    for role, server in connection.execute(_MAPPINGS).fetchall():
        who = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
        connection.execute(sql.SQL("DROP USER MAPPING FOR {} SERVER {}").format(who, sql.Identifier(server)))


def uncounted(dsn: str) -> str:
    """Lead a dump to where pg_stat_statements does not count it, if its role may: a gate would take it for a client."""
    told = conninfo_to_dict(dsn)
    quiet = make_conninfo("", **{**told, "options": f"{told.get('options') or ''} {_UNCOUNTED}".strip()})
    try:
        psycopg.connect(quiet).close()
    except psycopg.OperationalError:  # no superuser, or a pooler; and who cannot connect at all is told by the dump
        return dsn
    return quiet


def client(name: str, dsn: str, *options: str | Path, given: bytes | None = None) -> bytes:
    """Run one of PostgreSQL's own programs, and return what it prints."""
    told = conninfo_to_dict(dsn)
    secret = {"PGPASSWORD": str(told.pop("password"))} if "password" in told else {}
    argv = [process.find(name), "--dbname", make_conninfo("", **told), *options]
    return process.run(argv, env=secret, input=given).out


def _without_public(dump: bytes) -> bytes:
    """Leave out the making of schema public: each database has it, whatever its owner did with it."""
    return dump.replace(b"\nCREATE SCHEMA public;\n", b"\n")


def _roles(live: Connection, scratch_dsn: str, target: str) -> None:
    """Make the roles that policies name; who owns or may use what is not copied."""
    names = live.execute("SELECT rolname::text FROM pg_roles WHERE rolname !~ '^pg_'").fetchall()
    with translated(target), psycopg.connect(scratch_dsn, autocommit=True) as connection:
        for (name,) in names:
            try:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                continue  # another database of the same run brought it
