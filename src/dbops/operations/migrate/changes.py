"""For revisions: one line each. `changes.expand(change, shape)` in upgrade, `changes.undo(change, shape)` in downgrade.

What contracts stays guarded by itself: the gate is SQL in the revision, so a bare `alembic upgrade` and the script of
`migrate sql` are held up too, and a fresh database, where the old holds no row, passes.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import context, op

from dbops.engine import clock
from dbops.operations.migrate import effects
from dbops.operations.migrate.shapes.columns import Columns
from dbops.operations.migrate.shapes.generated import Generated
from dbops.operations.migrate.shapes.index import Index
from dbops.operations.migrate.shapes.not_null import NotNull
from dbops.operations.migrate.shapes.retired import KEEP
from dbops.operations.migrate.shapes.retiring import Retiring
from dbops.operations.migrate.shapes.shape import Do, OldNames, Shape

_NO_READER = """
DO $readers$
DECLARE
    following boolean = false;
BEGIN
    IF to_regclass('dbops.readers') IS NOT NULL THEN
        SELECT EXISTS (SELECT FROM dbops.readers WHERE change = '{change}' AND percent > 0) INTO following;
    END IF;
    IF following THEN
        RAISE EXCEPTION 'change {change} may not be taken back here: readers follow it'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'dbops migrate rollback {change} leads them back first';
    END IF;
END
$readers$"""
# The ledger has to hold leave to contract that was given in this very database, on this timeline.
_GATE = """
DO $gate$
DECLARE
    leave_given boolean = false;
    empty boolean = true;
    row_security_was text = current_setting('row_security');
BEGIN
    IF to_regclass('{table}') IS NOT NULL THEN
        BEGIN
            PERFORM set_config('row_security', 'off', true); -- rows that a policy hides are rows: this fails instead
            EXECUTE 'SELECT NOT EXISTS (SELECT FROM {table})' INTO empty;
        EXCEPTION WHEN insufficient_privilege THEN
            empty := false;
        END;
        PERFORM set_config('row_security', row_security_was, true);
    END IF;
    IF empty THEN
        RETURN; -- nothing can be lost: a fresh database needs no proof
    END IF;
    IF to_regclass('dbops.entries') IS NOT NULL THEN
        SELECT coalesce((
            SELECT e.kind = 'leave'
               AND e.at BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '1 hour'
               AND e.system_identifier = (SELECT system_identifier FROM pg_catalog.pg_control_system())
               AND e.database_oid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
               AND e.timeline = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
              FROM dbops.entries e
             WHERE e.subject = 'change:{change}' AND e.kind IN ('leave', 'leave ended', 'state')
             ORDER BY e.id DESC LIMIT 1), false)
          INTO leave_given;
    END IF;
    IF NOT leave_given THEN
        RAISE EXCEPTION 'change {change} may not be contracted here: no gate was passed in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'dbops migrate contract {change} looks at the gates, and runs this revision';
    END IF;
END
$gate$"""

# What refers to a primary key that changed hands cannot be led back; the old columns are there until they are removed.
_NO_WAY_BACK = """
DO $back$
DECLARE
    kept text = (SELECT string_agg(format('%s.%I', a.attrelid::regclass, a.attname), ', ' ORDER BY a.attnum)
                   FROM pg_catalog.pg_description d JOIN pg_catalog.pg_attribute a
                     ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attnum > 0 AND NOT a.attisdropped
                  WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND starts_with(
                        d.description, '{{"dbops_gone" : 1, "change" : ' || to_json('{change}'::text)::text));
BEGIN
    RAISE EXCEPTION 'change {change} is contracted: what it removed cannot be made anew by a revision'
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = coalesce('what was written before is in ' || kept || ' still: a change of its own leads back to it'
                              ' (dbops migrate new); ', 'only ') || 'a restore to a point in time brings it back:'
                              ' dbops pitr plan';
END
$back$"""


def expand(change: str, shape: Shape) -> None:
    """Put the new beside the old."""
    _do(shape.expand(change), several=_several(shape))


def undo(change: str, shape: Shape) -> None:
    """Take expand back."""
    _do(shape.undo(change), several=_several(shape))


def rollback(change: str, shape: Shape) -> None:
    """Take expand back behind other revisions, once no reader follows any more."""
    op.execute(_escaped(_NO_READER.format(change=change.replace("'", "''"))))
    _do(shape.undo(change), several=_several(shape))


def contract(change: str, shape: Shape) -> None:
    """Remove the old, through the gate."""
    op.execute(_escaped(gate(change, shape.old_names() or OldNames(shape.table))))
    _do(shape.contract(change), several=_several(shape))


def put_back(change: str, shape: Retiring) -> None:
    """For the downgrade of a contraction that put something out of the way: bring it back."""
    _do(shape.put_back(change))


def remove(change: str, shape: Retiring, keep: str = KEEP) -> None:
    """Drop for good what was put out of the way, once it was there for `keep`; nothing brings that back."""
    _do(shape.removal(change, keep))


def no_way_back(change: str) -> None:
    """For the downgrade of a contraction: what it removed no statement brings back."""
    op.execute(_escaped(_NO_WAY_BACK.format(change=change.replace("'", "''"))))


def gate(change: str, old: OldNames) -> str:
    return _GATE.format(change=change.replace("'", "''"), table=old.table.replace("'", "''"))


def _do(statements: Iterable[Do], *, several: bool = True) -> None:
    began: float | None = None  # when the transaction that is under way met the first of them
    for one in statements:
        if one.asks or one.alone:
            for text in _asked(one.sql) if one.asks else (one.sql,):
                _alone(text)
            began = None
            continue
        if not context.is_offline_mode():
            began = began or clock.monotonic()
            _limit(round(1000 * (clock.monotonic() - began)), several=several)
        op.execute(_escaped(one.sql))


def _several(shape: Shape) -> bool:
    """Say whether a shape may lock what is not its table: foreign keys and views have two ends."""
    return not isinstance(shape, Columns | NotNull | Generated | Index)


BOUND = "dbops_bound"  # of a connection: what it runs is cancelled by a limit of ours, and can be tried again
# lock_timeout counts per lock: statements that hold one while they wait for another have it as their limit together.
# Where they may meet somebody who holds the other, that ends before deadlock_timeout: the victim would be who waited
# first, and that is the application.
_LIMIT = """
    SELECT set_config('statement_timeout', CASE l.setting WHEN '0' THEN '0' ELSE
                      greatest(1, least(l.setting::int, {most}) - {gone})::text END, true)
      FROM pg_catalog.pg_settings l, pg_catalog.pg_settings d
     WHERE l.name = 'lock_timeout' AND d.name = 'deadlock_timeout'"""
_BELOW_DEADLOCK = "d.setting::int * 9 / 10"


def _limit(gone_ms: int, *, several: bool) -> None:
    most = _BELOW_DEADLOCK if several else "l.setting::int"
    op.execute(_escaped(_LIMIT.format(most=most, gone=gone_ms)))
    op.get_bind().info[BOUND] = True


def _alone(text: str) -> None:
    if not context.is_offline_mode():
        op.get_bind().info[BOUND] = False
    with op.get_context().autocommit_block():
        op.execute(_escaped(text))


def _asked(query: str) -> list[str]:
    """Return the statements that a query yields; a script for psql asks when it is run."""
    if context.is_offline_mode():
        return [f"{query}\n{effects.ASKED}"]
    return [str(row[0]) for row in op.get_bind().execute(sa.text(_escaped(query))).fetchall()]


def _escaped(text: str) -> str:
    """Write it for SQLAlchemy, which would take `:name` for a parameter, and for Alembic, which strips its end."""
    end = "\n/**/" if "--" in text.rpartition("\n")[2] else ""  # else a comment takes the semicolon in
    return text.replace(":", r"\:") + end
