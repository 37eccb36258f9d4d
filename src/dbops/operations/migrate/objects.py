"""For revisions: small SQL for what Alembic has no operation for. Names are given plain, expressions as they are."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

_ENSURE_ROLE = """
DO $role$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{name}') THEN
        CREATE ROLE {name} NOLOGIN;
    END IF;
END
$role$"""


def document(value: Mapping[str, Any]) -> sa.TextClause:
    """Write the default of a JSONB column."""
    return sa.text("'" + json.dumps(value, ensure_ascii=False).replace("'", "''") + "'")


def create_extensions(*names: str) -> None:
    """Create extensions where they are missing. They stay at a downgrade: others may use them by then."""
    for name in names:
        op.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}"')


def ensure_role(name: str) -> None:
    """Create a role that policies name, when it is missing; all else about roles is told by `dbops roles`."""
    op.execute(_ENSURE_ROLE.format(name=name))


def enable_row_security(*tables: str, force: bool = True) -> None:
    """Let policies decide; with `force` also for the owner of the table."""
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        if force:
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def disable_row_security(*tables: str) -> None:
    for table in reversed(tables):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def create_policy(
    name: str,
    table: str,
    *,
    command: str = "ALL",
    to: Sequence[str] = ("PUBLIC",),
    using: str | None = None,
    check: str | None = None,
) -> None:
    parts = [f"CREATE POLICY {name} ON {table} FOR {command} TO {', '.join(to)}"]
    if using is not None:
        parts.append(f"USING ({using})")
    if check is not None:
        parts.append(f"WITH CHECK ({check})")
    op.execute("\n".join(parts))


def drop_policy(name: str, table: str) -> None:
    op.execute(f"DROP POLICY {name} ON {table}")


def create_trigger(name: str, table: str, when: str, function: str, arguments: Sequence[str] = ()) -> None:
    """Create a row trigger: `when` is such as BEFORE UPDATE."""
    told = ", ".join("'" + argument.replace("'", "''") + "'" for argument in arguments)
    op.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}({told})")


def drop_trigger(name: str, table: str) -> None:
    op.execute(f"DROP TRIGGER {name} ON {table}")


def create_view(name: str, query: str, *, options: str = "") -> None:
    op.execute(f"CREATE VIEW {name}{f' WITH ({options})' if options else ''} AS\n{query}")


def drop_views(*names: str) -> None:
    for name in reversed(names):
        op.execute(f"DROP VIEW {name}")


def create_materialized_view(name: str, query: str) -> None:
    """Create it empty: a fresh database has nothing to show, and `matview refresh` fills it."""
    op.execute(f"CREATE MATERIALIZED VIEW {name} AS\n{query}\nWITH DATA")


def drop_materialized_views(*names: str) -> None:
    for name in reversed(names):
        op.execute(f"DROP MATERIALIZED VIEW {name}")
