"""Watch, from a connection of its own, which locks we hold and await while a phase runs."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import make_conninfo

from dbops.engine import clock
from dbops.engine.run import Run
from dbops.operations.migrate.figures import MODES
from dbops.operations.migrate.rehearse.facts import Held

_NAME = "rehearsal watch"
_EVERY_S = 0.005
# What is weaker stands in nobody's way who reads or writes.
_LOCKS = """
    SELECT n.nspname || '.' || c.relname, l.mode, l.granted
      FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND starts_with(a.application_name, %s) AND c.relkind IN ('r', 'p', 'm', 'v') AND n.nspname !~ '^(pg_|dbops)'
       AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"""
_Key = tuple[str, str, bool]


@dataclass(slots=True)
class Watched:
    """What was seen so far, in milliseconds."""

    times: dict[_Key, float] = field(default_factory=dict[_Key, float])

    def add(self, seen: set[_Key], milliseconds: float) -> None:
        for key in seen:
            self.times[key] = self.times.get(key, 0.0) + milliseconds

    def locks(self) -> tuple[Held, ...]:
        pairs = dict.fromkeys((relation, mode) for relation, mode, _ in sorted(self.times))
        return tuple(
            Held(
                relation,
                MODES[mode],
                self.times.get((relation, mode, True), 0.0),
                self.times.get((relation, mode, False), 0.0),
            )
            for relation, mode in pairs
        )


@contextmanager
def watching(dsn: str, run: Run) -> Generator[Watched]:
    """Sample until the block ends; a watcher that fails ends the block with its error."""
    watched, over = Watched(), threading.Event()
    failed: list[psycopg.Error] = []
    with psycopg.connect(make_conninfo(dsn, application_name=_NAME), autocommit=True) as connection:
        whose = f"dbops {run.id} "

        def look() -> None:
            last = clock.monotonic()
            try:
                while not over.is_set():
                    seen = set(connection.execute(_LOCKS, (whose,)).fetchall())
                    now = clock.monotonic()
                    watched.add(seen, 1000 * (now - last))
                    last = now
                    over.wait(_EVERY_S)
            except psycopg.Error as error:
                failed.append(error)

        thread = threading.Thread(target=look, name="rehearsal watch", daemon=True)
        thread.start()
        try:
            yield watched
        finally:
            over.set()
            thread.join()
    if failed:
        raise failed[0]
