"""The ledger: what dbops did, kept in the database it was done to, schema `dbops`. Defined and upgraded here alone.

An entry is written in the transaction of what it tells, so neither exists without the other. It carries system
identifier, database OID and timeline: a clone or a restored copy does not inherit the proof of another server.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg import errors
from psycopg.types.json import Jsonb

from dbops.engine.plan import Statement
from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.redact import redact
from dbops.stores import ledger_of_changes as changes
from dbops.stores import postgres
from dbops.stores.postgres import Connection

_CREATE = (
    "CREATE SCHEMA IF NOT EXISTS dbops",
    """CREATE TABLE dbops.version (
    one bool PRIMARY KEY DEFAULT true CHECK (one),
    version int NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp())""",
    """CREATE TABLE dbops.entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run text NOT NULL,
    actor text NOT NULL,
    command text NOT NULL,
    target text NOT NULL,
    subject text NOT NULL,
    kind text NOT NULL,
    detail jsonb NOT NULL,
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    timeline int NOT NULL)""",
    """CREATE FUNCTION dbops.only_append() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    $$BEGIN RAISE EXCEPTION 'dbops.entries is append-only'; END$$""",
    """CREATE TRIGGER only_append BEFORE UPDATE OR DELETE OR TRUNCATE ON dbops.entries
    FOR EACH STATEMENT EXECUTE FUNCTION dbops.only_append()""",
)
_FIND = ("CREATE INDEX entries_of_subject ON dbops.entries (subject, id)",)  # the newest of one among a million
_UPGRADES: Mapping[int, tuple[str, ...]] = {  # what leads to each version from the one before
    1: _CREATE,
    2: _FIND,
    3: changes.CREATE,
}
VERSION = max(_UPGRADES)
_GRANTED = (
    "GRANT USAGE ON SCHEMA dbops TO {}",
    "GRANT SELECT ON dbops.version, dbops.entries TO {}",
    "GRANT INSERT ON dbops.entries TO {}",
    changes.GRANTED,
)
_STAMP = """INSERT INTO dbops.version (version) VALUES (%s)
    ON CONFLICT (one) DO UPDATE SET version = excluded.version, since = excluded.since"""

_ENTRY = """
    INSERT INTO dbops.entries
           (run, actor, command, target, subject, kind, detail, system_identifier, database_oid, timeline)
    SELECT %s, %s, %s, %s, %s, %s, %s, s.system_identifier, d.oid,
           -- the control file still tells the old timeline between a promotion and its checkpoint
           ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int
      FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d
     WHERE d.datname = pg_catalog.current_database()"""


# Whoever owns a table can hang a view, a trigger or a default on it, which then runs with the reader's rights. Who is
# a member of the reader may do all of that anyway: the administrator of a managed server, which has no superuser.
_FOREIGN = """
    SELECT pg_catalog.string_agg(DISTINCT r.rolname::text, ', ')
      FROM (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'dbops'
            UNION SELECT relowner FROM pg_catalog.pg_class
             WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'dbops')
            UNION SELECT proowner FROM pg_catalog.pg_proc
             WHERE pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'dbops')) o (owner)
      JOIN pg_catalog.pg_roles r ON r.oid = o.owner
     WHERE NOT pg_catalog.pg_has_role(r.oid, current_user, 'MEMBER')"""

# Who adds to the ledger, and has to trust whoever installs it.
_DISTRUSTING = """
    SELECT pg_catalog.string_agg(DISTINCT r.rolname::text, ', ')
      FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
     WHERE c.oid = pg_catalog.to_regclass('dbops.entries') AND a.privilege_type = 'INSERT'
       AND NOT pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')"""


def observe(connection: Connection, *, target: str) -> int | None:
    """Return the version of the ledger in this database, none where there is none."""
    foreign = connection.execute(_FOREIGN).fetchone()
    if foreign is not None and foreign[0] is not None:
        raise Refused(
            f"schema dbops, or something in it, belongs to {foreign[0]}: what it says or does cannot be trusted",
            hint="look at it, then drop it or hand it over: ALTER SCHEMA, ALTER TABLE, ALTER FUNCTION ... OWNER TO ...;"
            f" the administrator of [cluster.NAME] has to be a member of {connection.info.user}, or a superuser",
            target=target,
        )
    there = connection.execute("SELECT to_regclass('dbops.version') IS NOT NULL").fetchone()
    if there is None or not there[0]:
        return None
    row = connection.execute("SELECT version FROM dbops.version").fetchone()
    version = None if row is None else int(row[0])
    if version is not None and version > VERSION:
        raise Refused(
            f"the ledger (schema dbops) has version {version}, this dbops knows {VERSION}",
            hint="use the newer dbops that wrote it",
            target=target,
        )
    return version


def install(version: int | None, *, owner: str | None = None) -> tuple[Statement, ...]:
    """Tell what leads from `version` to the newest; nothing when it is that. `owner` may read it and add to it.

    It belongs to whoever installs it, the administrator: see _FOREIGN.
    """
    if version == VERSION:
        return ()
    texts = [text for number in range((version or 0) + 1, VERSION + 1) for text in _UPGRADES[number]]
    granted = tuple(Statement(text, ((owner,),)) for text in _GRANTED) if owner is not None else ()
    return (*map(Statement, texts), Statement(_STAMP, values=(str(VERSION),)), *granted)


def apply(connection: Connection, statements: tuple[Statement, ...], *, target: str) -> None:
    """Install or upgrade, whole or not at all. Two runs with other subjects may come here at once: the later waits."""
    with _told(connection, target), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('dbops:ledger', 0::bigint))")
        if observe(connection, target=target) == VERSION:
            return
        for statement in statements:
            postgres.execute(connection, statement)
        row = connection.execute(_DISTRUSTING).fetchone()
        if row is not None and row[0] is not None:
            raise errors.InsufficientPrivilege(f"{row[0]} could not trust it")


@contextmanager
def _told(connection: Connection, target: str) -> Generator[None]:
    """Say which of the two roles of a target lacks what."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise Refused(
            f"{user} may not keep the ledger (schema dbops) here: {error.diag.message_primary or error}",
            hint=f"the administrator, as whom [cluster.NAME] signs in, has to be a superuser, or a member of the role"
            f" that owns the database: GRANT ... TO {user}",
            target=target,
        ) from error


def write(connection: Connection, run: Run, *, target: str, subject: str, kind: str, detail: Mapping[str, Any]) -> None:
    """Write one entry inside the caller's transaction, beside what it tells."""
    who = (run.id, run.actor, redact(run.command), target, subject, kind)
    connection.execute(_ENTRY, (*who, Jsonb(dict(detail))))
