"""A load beside a phase: clients that read rows by their key, and write them as they are.

What an application really does is not known here. What these clients feel it would feel too: locks, triggers, failures.
"""
# ruff: noqa: S608  # the parts are names that the catalog tells, and the table as its author wrote it

import random
import threading
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbops.engine import clock, stop
from dbops.operations.migrate.rehearse.facts import Traffic
from dbops.operations.migrate.shapes.guarded import quoted

_NAME = "rehearsal load"
_PAUSE_S = 0.002
_KEYS = 1000
_KIND = "SELECT relkind IN ('r', 'p'), greatest(reltuples, 1) FROM pg_class WHERE oid = to_regclass(%s)"
_KEY = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_index i
      JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place) ON true
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
     WHERE i.indrelid = to_regclass(%s) AND i.indisprimary ORDER BY k.place"""
_WRITABLE = """
    SELECT attname FROM pg_attribute
     WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a'
       AND NOT attname = ANY(%s) ORDER BY attname = ANY(%s), attnum LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Aim:
    """A table that the load uses; `going` are columns that it leaves alone, for they go away."""

    table: str  # as SQL names it
    going: tuple[str, ...] = ()
    written: bool = True


@dataclass(frozen=True, slots=True)
class _Asks:
    read: sql.SQL
    write: sql.SQL | None
    keys: Sequence[tuple[Any, ...]]


@dataclass(slots=True)
class Met:
    """What the clients met; to be read when they have ended."""

    times_ms: list[float] = field(default_factory=list[float])
    failures: Counter[str] = field(default_factory=Counter[str])

    def traffic(self) -> Traffic:
        every = sorted(self.times_ms)
        if not every:
            return Traffic(failures=dict(self.failures))
        p50, p99 = every[len(every) // 2], every[min(len(every) - 1, len(every) * 99 // 100)]
        return Traffic(len(every), dict(self.failures), p50, p99, every[-1])


@contextmanager
def beside(dsn: str, aims: Sequence[Aim], clients: int) -> Generator[Met]:
    """Keep clients busy until the block ends; half of them write.

    Each has done something before the block begins, and does something after it: what it leaves is met for sure.
    """
    met, over = Met(), threading.Event()
    place = make_conninfo(dsn, application_name=_NAME)
    with psycopg.connect(place, autocommit=True) as connection:
        asks = [one for aim in aims if (one := _asks(connection, aim)) is not None]
    with ExitStack() as stack:
        threads: list[threading.Thread] = []
        at_work = [
            _Client(stack.enter_context(_connect(place)), asks, met, over, writes=number % 2 == 1)
            for number in range(clients if asks else 0)
        ]
        for number, client in enumerate(at_work):
            threads.append(threading.Thread(target=client.work, args=(number,), name=_NAME, daemon=True))
            threads[-1].start()
        try:
            _all_in_turn(at_work, threads)
            yield met
            _all_in_turn(at_work, threads)
        finally:
            over.set()
            for thread in threads:
                thread.join()


def _all_in_turn(clients: "Sequence[_Client]", threads: Sequence[threading.Thread]) -> None:
    """Wait until each has done a whole statement that began after this, or has broken."""
    until = [client.done + 2 for client in clients]
    while any(
        client.done < done and thread.is_alive() for client, done, thread in zip(clients, until, threads, strict=True)
    ):
        stop.pause(_PAUSE_S)


def _connect(place: str) -> psycopg.Connection[Any]:
    return psycopg.connect(place, autocommit=True, prepare_threshold=0)  # as most drivers of applications do


@dataclass(slots=True)
class _Client:
    connection: psycopg.Connection[Any]
    asks: Sequence[_Asks]
    met: Met
    over: threading.Event
    writes: bool
    done: int = 0

    def work(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  # nothing secret hangs on it
        while not self.over.is_set() and not self.connection.closed:
            self._ask(chance)
            self.done += 1
            self.over.wait(_PAUSE_S)

    def _ask(self, chance: random.Random) -> None:
        ask = chance.choice(self.asks)
        text = ask.write if self.writes and ask.write is not None else ask.read
        began = clock.monotonic()
        try:
            self.connection.execute(text, chance.choice(ask.keys))
        except psycopg.Error as error:
            self.met.failures[error.sqlstate or type(error).__name__] += 1
        else:
            self.met.times_ms.append(1000 * (clock.monotonic() - began))


def _asks(connection: psycopg.Connection[Any], aim: Aim) -> _Asks | None:
    """Make the statements for one table; none for what is no table, has no rows, or only what goes away."""
    row = connection.execute(_KIND, (aim.table,)).fetchone()
    if row is None or not row[0]:
        return None
    key: list[tuple[str, str]] = connection.execute(_KEY, (aim.table,)).fetchall() or [("ctid", "tid")]
    names = [name for name, _ in key]
    if set(names) & set(aim.going):
        return None
    table = sql.SQL(aim.table)  # pyright: ignore[reportArgumentType]  # as its author wrote it
    columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
    share = min(100.0, 100.0 * 10 * _KEYS / row[1])
    sample = sql.SQL("SELECT {} FROM {} TABLESAMPLE SYSTEM ({}) LIMIT {}")
    keys = connection.execute(sample.format(columns, table, sql.Literal(share), sql.Literal(_KEYS))).fetchall()
    if not keys:
        return None
    # format_type writes types as SQL needs them
    where = " AND ".join(f"{_kept(f'r.{quoted(name)}')} = %s::{_kept(type_)}" for name, type_ in key)
    read = f"SELECT octet_length(r::text) FROM {_kept(aim.table)} AS r WHERE {where}"
    written = connection.execute(_WRITABLE, (aim.table, list(aim.going), names)).fetchone()
    write = None
    if written is not None and aim.written:
        column = _kept(quoted(written[0]))
        write = sql.SQL(f"UPDATE {_kept(aim.table)} AS r SET {column} = r.{column} WHERE {where}")  # pyright: ignore[reportArgumentType]
    return _Asks(sql.SQL(read), write, keys)  # pyright: ignore[reportArgumentType]


def _kept(text: str) -> str:
    """Keep the per cent signs of names and types: behind values, psycopg would take them for its own."""
    return text.replace("%", "%%")
