"""Whether what a change put into the catalog is still there as it was put: our triggers and functions, the new columns.

DBM501  something that the change made is gone
DBM502  something that the change made was altered by other hands
"""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString

from dbops.engine.finding import Finding, Severity
from dbops.errors import Refused
from dbops.operations.migrate.life import STATE, Life, Place
from dbops.operations.migrate.shapes.shape import Shape
from dbops.stores.postgres import Connection

OBJECTS = "objects"  # in the entries of transitions: what was there when the transition was made
_COLUMN = re.compile(r'\bADD\s+COLUMN\s+(?:IF\s+NOT\s+EXISTS\s+)?("(?:[^"]|"")+"|[A-Za-z_][\w$]*)', re.IGNORECASE)
# Nothing in these texts names the table: an atomic rename leaves them as they are.
_TRIGGERS: LiteralString = r"""
    SELECT 'trigger ' || t.tgname,
           pg_catalog.string_agg(pg_catalog.md5(pg_catalog.concat_ws('|', t.tgtype, t.tgenabled,
                   (SELECT pg_catalog.string_agg(a.attname, ',' ORDER BY a.attname) FROM pg_catalog.pg_attribute a
                     WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr)),
                   pg_catalog.substring(pg_catalog.pg_get_triggerdef(t.oid), ' WHEN .*$'),
                   p.prosrc, p.proconfig, p.prosecdef, p.provolatile)), ' ' ORDER BY t.tgrelid)
      FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
     WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgname ~ '^[~!]dbops_'
       AND pg_catalog.strpos(%(sql)s, t.tgname) > 0
     GROUP BY t.tgname"""
_COLUMNS: LiteralString = """
    SELECT 'column ' || a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = pg_catalog.to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
       AND a.attname = ANY (%(columns)s)"""


def fingerprint(connection: Connection, change: str, shape: Shape) -> dict[str, str]:
    """Digest what of the change is in the catalog just now: object to what it is."""
    text = "\n".join(one.sql for one in shape.expand(change))
    names = [_plain(name) for name in _COLUMN.findall(text)]
    asked = {"sql": text, "table": _in_public(shape.table), "columns": names}
    found: dict[str, str] = {}
    with _search_path(connection):
        for query in (_TRIGGERS, _COLUMNS):
            rows: list[tuple[str, str]] = connection.execute(query, asked).fetchall()
            found.update(rows)
    return dict(sorted(found.items()))


@contextmanager
def _search_path(connection: Connection) -> Generator[None]:
    """PostgreSQL leaves out schemas of the search path: a revision's session and ours must read the same text."""
    row = connection.execute("SELECT current_setting('search_path')").fetchone()
    assert row is not None  # noqa: S101
    connection.execute("SET search_path = pg_catalog, pg_temp")
    yield
    connection.execute("SELECT set_config('search_path', %s, false)", row)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _in_public(table: str) -> str:
    return table if re.search(r'\.(?=(?:[^"]*"[^"]*")*[^"]*$)', table) else f"public.{table}"


def expected(life: Life, here: Place) -> Mapping[str, str]:
    """Tell what the newest transition that looked has found, in this very database."""
    for one in reversed(life.entries):
        if one.kind == STATE and one.place == here and OBJECTS in one.detail:
            found: Any = one.detail[OBJECTS]
            return found
    return {}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name what is gone and what was altered: (code, object)."""
    for name, what in before.items():
        if name not in now:
            yield "DBM501", name
        elif now[name] != what:
            yield "DBM502", name


_SAID = {"DBM501": "is gone", "DBM502": "was altered by other hands"}


def findings(target: str, change: str, before: Mapping[str, str], now: Mapping[str, str]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            Severity.WARNING,
            code,
            target,
            f"change {change}: {name} {_SAID[code]} since dbops made it",
            f"put it back as the expand revision has it, then verify again: dbops migrate verify {change} -t {target}",
        )
        for code, name in differences(before, now)
    )


def refuse(connection: Connection, *, target: str, change: str, shape: Shape, life: Life, here: Place) -> None:
    """Refuse to go on where somebody changed what keeps old and new alike."""
    found = findings(target, change, expected(life, here), fingerprint(connection, change, shape))
    if found:
        raise Refused("; ".join(one.message for one in found), hint=found[0].hint, target=target)
