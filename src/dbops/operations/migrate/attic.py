"""For revisions: what `downgrade` takes away with data in it goes to schema dbops_attic, and `upgrade` brings it back.

A table keeps its rows, indexes, constraints and policies while it is there. Its name there is a short hash, because
two schemas may have had a table of one name; its comment tells what it was, and holds the comment that it had.
"""

import re
from collections.abc import Sequence
from typing import Any

from alembic import context, op
from sqlalchemy import text

SCHEMA = "dbops_attic"

# One statement for each kind, so that the offline script of a revision is complete too.
_MARK = """json_build_object(
    'dbops_attic', 1, 'root', '{root}', 'schema', {schema}, 'name', {name}, 'comment', {comment},
    'revision', '{revision}', 'since', now())"""

_STORE_TABLE = """
DO $attic$
DECLARE
    each record;
    stored text;
BEGIN
    CREATE SCHEMA IF NOT EXISTS dbops_attic;
    FOR each IN
        SELECT c.oid, c.oid\\:\\:regclass AS ref, n.nspname, c.relname, obj_description(c.oid, 'pg_class') AS said
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = '{table}'\\:\\:regclass
            OR c.oid IN (SELECT relid FROM pg_partition_tree('{table}'))
         ORDER BY c.oid
    LOOP
        stored = 'kept_' || left(md5(each.nspname || '.' || each.relname), 12);
        EXECUTE format('COMMENT ON TABLE %s IS %L', each.ref, {mark});
        EXECUTE format('ALTER TABLE %s RENAME TO %I', each.ref, stored);
        EXECUTE format('ALTER TABLE %s SET SCHEMA dbops_attic', each.oid\\:\\:regclass);
    END LOOP;
END
$attic$"""

_BRING_TABLE_BACK = """
DO $attic$
DECLARE
    each record;
    was json;
BEGIN
    FOR each IN
        SELECT c.oid, obj_description(c.oid, 'pg_class') AS said
          FROM pg_class c
         WHERE c.relnamespace = 'dbops_attic'\\:\\:regnamespace AND c.relkind IN ('r', 'p')
           AND obj_description(c.oid, 'pg_class') LIKE '{{"dbops_attic"%"root" \\: "{root}"%'
         ORDER BY c.oid
    LOOP
        was = each.said\\:\\:json;
        EXECUTE format('ALTER TABLE %s SET SCHEMA %I', each.oid\\:\\:regclass, was ->> 'schema');
        EXECUTE format('ALTER TABLE %s RENAME TO %I', each.oid\\:\\:regclass, was ->> 'name');
        EXECUTE format('COMMENT ON TABLE %s IS %L', each.oid\\:\\:regclass, was ->> 'comment');
    END LOOP;
END
$attic$"""

_STORE_TYPE = """
DO $attic$
BEGIN
    CREATE SCHEMA IF NOT EXISTS dbops_attic;
    EXECUTE format('COMMENT ON TYPE {type} IS %L', {mark});
    ALTER TYPE {type} SET SCHEMA dbops_attic;
END
$attic$"""

_BRING_TYPE_BACK = """
DO $attic$
DECLARE
    was json = obj_description('dbops_attic.{name}'\\:\\:regtype, 'pg_type');
BEGIN
    ALTER TYPE dbops_attic.{name} SET SCHEMA {schema};
    EXECUTE format('COMMENT ON TYPE {schema}.{name} IS %L', was ->> 'comment');
END
$attic$"""

_IS_TABLE = """
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'dbops_attic' AND c.relkind IN ('r', 'p')
           AND pg_catalog.obj_description(c.oid, 'pg_class') LIKE :mark)"""
_IS_TYPE = "SELECT pg_catalog.to_regtype(:name) IS NOT NULL"
_IS_FUNCTION = "SELECT pg_catalog.to_regprocedure(:name) IS NOT NULL"

_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def create_table(name: str, *parts: Any, schema: str = "public", **options: Any) -> None:
    """Create a table, or bring back the one that a downgrade stored, with its rows."""
    root = _root(schema, name)
    if _is_there(_IS_TABLE, mark=f'{{"dbops_attic"%"root" : "{root}"%'):
        op.execute(_BRING_TABLE_BACK.format(root=root))
    else:
        op.create_table(name, *parts, schema=None if schema == "public" else schema, **options)


def store_tables(*names: str, schema: str = "public") -> None:
    """Move tables to the attic with all that is in them, their partitions too; the last one goes first."""
    for name in reversed(names):
        root = _root(schema, name)
        mark = _mark(root, schema="each.nspname", name="each.relname", comment="each.said")
        op.execute(_STORE_TABLE.format(table=root, mark=mark))


def create_enum(name: str, *values: str, schema: str = "public") -> None:
    """Create an enum type, or bring back the one that stored tables use."""
    root = _root(schema, name)
    if _is_there(_IS_TYPE, name=f"{SCHEMA}.{name}"):
        op.execute(_BRING_TYPE_BACK.format(name=name, schema=schema))
    else:
        told = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        op.execute(f"CREATE TYPE {root} AS ENUM ({told})")


def store_enums(*names: str, schema: str = "public") -> None:
    """Move enum types to the attic: columns of stored tables are of them."""
    for name in reversed(names):
        root = _root(schema, name)
        comment = f"obj_description('{root}'\\:\\:regtype, 'pg_type')"
        mark = _mark(root, schema=f"'{schema}'", name=f"'{name}'", comment=comment)
        op.execute(_STORE_TYPE.format(type=root, mark=mark))


def create_function(signature: str, definition: str, schema: str = "public") -> None:
    """Create a function that columns are generated with, or bring back the one that stored tables use."""
    if _is_there(_IS_FUNCTION, name=f"{SCHEMA}.{signature}"):
        op.execute(f"ALTER FUNCTION {SCHEMA}.{signature} SET SCHEMA {schema}")
    else:
        op.execute(definition)


def store_function(signature: str, schema: str = "public") -> None:
    op.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    op.execute(f"ALTER FUNCTION {schema}.{signature} SET SCHEMA {SCHEMA}")


def _mark(root: str, *, schema: str, name: str, comment: str) -> str:
    revision = context.get_context().opts.get("dbops_revision") or _running()
    return _MARK.format(root=root, schema=schema, name=name, comment=comment, revision=revision)


def _running() -> str:
    """Name the revision whose downgrade runs: the newest one that is stamped."""
    if context.is_offline_mode():
        return "?"
    return ", ".join(context.get_context().get_current_heads())


def _is_there(question: str, **values: str) -> bool:
    """Ask the database; an offline script is for one where nothing was stored."""
    return not context.is_offline_mode() and bool(op.get_bind().execute(text(question), values).scalar())


def _root(schema: str, name: str) -> str:
    _refuse_odd_names((schema, name))
    return f"{schema}.{name}"


def _refuse_odd_names(names: Sequence[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"the attic takes plain names (small letters, digits, _), not {name!r}")
