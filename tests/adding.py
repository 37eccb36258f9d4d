"""Revisions of one shape each for tests, and what each of their statements holds while its transaction is open."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from alembic import command
from sqlalchemy import event

from dbops.engine import clock
from dbops.errors import Refused
from dbops.operations.migrate import environment, history
from dbops.operations.migrate import ready as migrate

import changing

_STRONG = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
_HEAD = """
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.{module} import *
from dbops.operations.migrate.shapes.shape import Do, OldNames

change = "{change}"
phase = "{phase}"
impact = "none"
shape = {shape}
"""
EXPAND = """def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
"""
TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE owners (id int PRIMARY KEY, name text);
INSERT INTO owners SELECT n, 'owner ' || n FROM generate_series(1, 50) n;
CREATE TABLE things (id int NOT NULL, owner int NOT NULL, a text, b int, m mood, fax text NOT NULL);
INSERT INTO things SELECT n, n % 50 + 1, 'text ' || n, n, 'sad', '' FROM generate_series(1, 5000) n;
CREATE TABLE parts (id int NOT NULL, at date NOT NULL, a text) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO parts SELECT n, date '2026-01-01' + n % 59, 'text ' || n FROM generate_series(1, 3000) n
"""
SHAPES = (
    ("index", """Index("things", "things_a", "(lower(a))")"""),
    ("constraint", """Constraint("things", "things_b", "CHECK (b >= 0)")"""),
    ("constraint", """Constraint("things", "things_owner", "FOREIGN KEY (owner) REFERENCES owners (id)")"""),
    ("constraint", """Constraint("things", "things_pkey", "PRIMARY KEY (id)")"""),
    ("index", """Index("parts", "parts_a", "(a)", partitioned=True)"""),
    ("constraint", """Constraint("parts", "parts_key", "UNIQUE (id, at)", partitioned=True)"""),
    ("enums", """EnumValue("mood", "calm")"""),
    ("generated", """Generated("things", "twice", "int", "r.b * 2")"""),
    ("dropped", """Dropped("things", ("fax",), required={"fax": "''"})"""),
)

FIRST = """def upgrade() -> None:
    op.execute({text!r})


def downgrade() -> None:
    pass
"""


@dataclass(frozen=True)
class Held:
    """What a transaction held after one of its statements."""

    statement: str
    locks: frozenset[tuple[str, str]]  # table, mode: those that stop writers
    scans: int  # of whole tables, by this statement


def first(live: changing.Example, text: str) -> None:
    """Write the revision that makes the tables."""
    live.revision(1, FIRST.format(text=text))


def shape(live: changing.Example, number: int, module: str, text: str, *, change: str = "the-change") -> str:
    """Write a revision that expands by a shape, told as Python."""
    head = _HEAD.format(module=module, change=change, shape=text, phase="expand")
    return live.revision(number, EXPAND, head=head)


def everything(live: changing.Example) -> None:
    """Write a history of every shape that adds, each one a change of its own."""
    first(live, TABLES)
    for number, (module, text) in enumerate(SHAPES, 2):
        shape(live, number, module, text, change=f"change-{number}")


def follow(
    live: changing.Example,
    number: int,
    module: str,
    text: str,
    *,
    up: str,
    down: str = "pass",
    change: str = "the-change",
) -> str:
    """Write another phase of the same change."""
    head = _HEAD.format(module=module, change=change, shape=text, phase="later")
    body = f"def upgrade() -> None:\n    {up}\n\n\ndef downgrade() -> None:\n    {down}\n"
    return live.revision(number, body, head=head)


def run(
    live: changing.Example, way: str = "upgrade", to: str = "head", before: Callable[[str], None] = lambda _: None
) -> list[Held]:
    """Run revisions as a bare Alembic would; tell what each statement held. `before` may cut it off."""
    seen: list[Held] = []
    before_it = [0]
    with (
        environment.open_connection(live.owner, live.run()) as connection,
        psycopg.connect(live.admin, autocommit=True) as beside,
    ):

        def look(_: Any, cursor: Any, statement: str, *_rest: Any) -> None:
            raw: psycopg.Connection[Any] = cursor.connection
            strong = beside.execute(
                "SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                " WHERE l.pid = %s AND l.granted AND l.mode = ANY(%s) AND c.relkind IN ('r', 'p')"
                "   AND c.relnamespace <> 'pg_catalog'::regnamespace",
                (raw.info.backend_pid, list(_STRONG)),
            ).fetchall()
            seen.append(Held(statement, frozenset(strong), _scans(raw) - before_it[0]))

        def ask(_: Any, cursor: Any, statement: str, *_rest: Any) -> None:
            before(statement)
            before_it[0] = _scans(cursor.connection)

        event.listen(connection.engine, "before_cursor_execute", ask)
        event.listen(connection.engine, "after_cursor_execute", look)
        config = history.alembic(live.folder / "migrations", changing.TARGET)
        config.attributes[environment.HELD] = connection
        getattr(command, way)(config, to)
    return seen


def _scans(raw: psycopg.Connection[Any]) -> int:
    """Count what this session has scanned and not reported yet."""
    row = raw.execute(
        "SELECT coalesce(sum(pg_stat_get_xact_numscans(oid)), 0)::int FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
    ).fetchone()
    return row[0] if row else 0


def assert_nothing_scans_under_a_lock(seen: list[Held]) -> None:
    for one in seen:
        assert not (one.locks and one.scans), one


def up(live: changing.Example) -> list[str]:
    """Run revisions as `dbops migrate up` does, in this process; tell its steps, but for that of the ledger."""
    with migrate.up(live.config, live.toml, changing.TARGET, live.run(), clock.now()) as ready:
        for step in ready.plan.steps:
            ready.apply(step)
        return [step.id for step in ready.plan.steps if step.id != "ledger"]


def is_ddl(statement: str) -> bool:
    return statement.startswith(("DO", "ALTER", "CREATE", "COMMENT"))


def stopping_after(count: int) -> Callable[[str], None]:
    """Cut a revision off after so many statements, as a kill between two of them does."""
    done = 0

    def stop(statement: str) -> None:
        nonlocal done
        if done == count:
            raise Refused("cut off")
        done += is_ddl(statement)

    return stop


def unstamp(live: changing.Example, to: str) -> None:
    """Forget the newest revision, as when its run was killed before it could stamp."""
    live.execute(f"UPDATE alembic_version SET version_num = '{to}'")
