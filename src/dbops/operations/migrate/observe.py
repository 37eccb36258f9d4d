"""Look at a database: what is stamped, what is there, and what its owner may do."""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

import re
from typing import LiteralString

from dbops.operations.migrate import catalog
from dbops.operations.migrate.concurrently import BUILDER
from dbops.operations.migrate.facts import Database, Entry, History, Invalid
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_ABOUT = """
    SELECT r.rolsuper, r.rolsuper OR r.rolcreaterole, to_regclass('public.alembic_version') IS NOT NULL
      FROM pg_roles r WHERE r.rolname = current_user"""
_UNTRUSTED = """
    SELECT DISTINCT e.name FROM pg_available_extension_versions e
     WHERE e.superuser AND NOT e.trusted AND e.name = ANY(%s)"""
_FILLED = """
    SELECT DISTINCT coalesce(pg_partition_root(c.oid), c.oid)::regclass::text
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|dbops_grace)'
       AND n.nspname NOT IN ('information_schema', 'dbops', 'dbops_attic') AND pg_relation_size(c.oid) > 0"""
# An index of partitions is invalid until each of them has its part: that is no leftover.
_INVALID: LiteralString = f"""
    SELECT n.nspname, c.relname, i.indrelid::regclass::text, r.oid::regclass::text, ({BUILDER})
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_class r ON r.oid = pg_partition_root(i.indrelid)
     WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname NOT IN ('dbops', 'dbops_attic') AND n.nspname !~ '^pg_'
     ORDER BY 1, 2"""
_QUOTED = r'"(?:[^"]|"")+"'
_ROUTINE = re.compile(rf'(?:{_QUOTED}|[^("])*')  # without what it takes
_ENTRIES = """
    SELECT at, run, actor, kind, detail ->> 'revision' FROM dbops.entries
     WHERE target = %s AND subject = 'schema' ORDER BY id"""


def observe(connection: Connection, history: History, *, target: str) -> Database:
    row = connection.execute(_ABOUT).fetchone()
    superuser, creates_roles, stamped = row or (False, False, False)
    stamps = connection.execute("SELECT version_num FROM public.alembic_version").fetchall() if stamped else []
    roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (sorted(history.roles),))
    named = [sorted(history.extensions)]
    objects = [found[0] for name in catalog.observe(connection) if (found := _ROUTINE.match(name))]
    return Database(
        stamps=tuple(sorted(stamp for (stamp,) in stamps)),
        objects=frozenset(map(_unquoted, objects)),
        filled=frozenset(_plain(name) for (name,) in connection.execute(_FILLED).fetchall()),
        extensions=frozenset(name for (name,) in connection.execute("SELECT extname FROM pg_extension").fetchall()),
        untrusted=frozenset(name for (name,) in connection.execute(_UNTRUSTED, named).fetchall()),
        roles=frozenset(name for (name,) in roles.fetchall()),
        may_create_roles=creates_roles,
        superuser=superuser,
        ledger=ledger.observe(connection, target=target),
        invalid=tuple(
            Invalid(schema, name, _plain(table), root and _plain(root), builder)
            for schema, name, table, root, builder in connection.execute(_INVALID).fetchall()
        ),
    )


def _plain(name: str) -> str:
    return _unquoted(name.removeprefix("public."))


def _unquoted(name: str) -> str:
    return re.sub(_QUOTED, lambda quoted: quoted[0][1:-1].replace('""', '"'), name)


def entries(connection: Connection, *, target: str) -> list[Entry]:
    """Read what was done to the schema; none where there is no ledger."""
    if ledger.observe(connection, target=target) is None:
        return []
    found = connection.execute(_ENTRIES, (target,)).fetchall()
    return [Entry(at, run, actor, what, revision) for at, run, actor, what, revision in found]
