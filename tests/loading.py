"""An application beside a change: writers and readers with prepared statements, and one who reads for very long.

Each client is a thread with a connection of its own. What it does is SQL with parameters; every transaction counts, and
every failure is kept with its SQLSTATE. How long a transaction took tells of the machine too; how long it waited for a
lock (`longest_wait_ms`, asked of the server) tells only of who held it.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

_NAME = "application under load"
_PATIENCE_S = 30.0
_POLL_S = 0.01
_WAITS = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)) * 1000, 0)::float
      FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE NOT l.granted AND a.application_name = %s AND a.datname = current_database()"""

Values = Callable[[random.Random], Sequence[object]]


def _none(_chance: random.Random) -> Sequence[object]:
    return ()


@dataclass(frozen=True)
class Ask:
    """One statement, prepared; `values` makes its parameters each time anew."""

    text: str
    values: Values = _none


@dataclass(frozen=True)
class Client:
    """Does its statements in one transaction, again and again. `name` tells clients of before and after apart."""

    name: str
    asks: tuple[Ask, ...]
    pause_s: float = 0.0


@dataclass
class Load:
    """What the clients met. To be read when the load is over; `transactions` also before."""

    times_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    failures: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])  # by client and SQLSTATE
    waits_ms: list[float] = field(default_factory=list[float])
    long_reads: int = 0

    @property
    def transactions(self) -> int:
        return sum(map(len, self.times_ms.values()))

    @property
    def failed(self) -> int:
        return self.failures.total()

    @property
    def longest_ms(self) -> float:
        return max((max(times) for times in self.times_ms.values() if times), default=0.0)

    @property
    def longest_wait_ms(self) -> float:
        """How long a client has waited for one lock, as the server told every 10 ms."""
        return max(self.waits_ms, default=0.0)

    @property
    def p99_ms(self) -> float:
        every = sorted(one for times in self.times_ms.values() for one in times)
        return every[min(len(every) - 1, int(len(every) * 0.99))] if every else 0.0

    def more(self, transactions: int) -> None:
        """Wait until each client has done so many transactions more: the load is there for sure."""
        until = {name: len(times) + transactions for name, times in self.times_ms.items()}
        deadline = time.monotonic() + _PATIENCE_S
        while any(len(times) + self._failed_of(name) < until[name] for name, times in self.times_ms.items()):
            assert time.monotonic() < deadline, f"the load stands still: {self.failures}"
            time.sleep(_POLL_S)

    def waiting(self, milliseconds: float) -> None:
        """Wait until the server tells that a client has waited so long for a lock."""
        deadline = time.monotonic() + _PATIENCE_S
        while self.longest_wait_ms < milliseconds:
            assert time.monotonic() < deadline, "no client waits"
            time.sleep(_POLL_S)

    def _failed_of(self, client: str) -> int:
        return sum(count for (name, _), count in self.failures.items() if name == client)


@contextmanager
def under_load(
    dsn: str,
    clients: Sequence[Client],
    *,
    long_read: str | None = None,
    long_read_s: float = 30.0,
    long_pause_s: float = 0.0,
    warm_up: int = 5,
) -> Generator[Load]:
    """Keep the clients busy while the body runs; after it, no transaction is under way any more.

    `long_read` is a SELECT whose snapshot stays open for `long_read_s`, again and again with `long_pause_s` in between;
    the last one is cut short.
    """
    load = Load({client.name: [] for client in clients})
    over = threading.Event()
    errors: list[BaseException] = []
    place = make_conninfo(dsn, application_name=_NAME)
    work: list[Callable[[], None]] = [
        *(lambda c=client, n=number: _client(place, c, load, over, n) for number, client in enumerate(clients)),
        lambda: _watch(dsn, load, over),
    ]
    if long_read is not None:
        work.append(lambda text=long_read: _long_reader(place, text, (long_read_s, long_pause_s), load, over))
    threads = [threading.Thread(target=_kept, args=(one, errors, over), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    try:
        if not errors:
            load.more(warm_up)
        yield load
        if not errors:
            load.more(1)
    finally:
        over.set()
        for thread in threads:
            thread.join(_PATIENCE_S)
            assert not thread.is_alive(), "a client of the load does not end"
        if errors:
            raise errors[0]


def _kept(work: Callable[[], None], errors: list[BaseException], over: threading.Event) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001  # told by whoever started the load
        errors.append(error)
        over.set()


def _client(place: str, client: Client, load: Load, over: threading.Event, seed: int) -> None:
    chance = random.Random(seed)
    times = load.times_ms[client.name]
    with psycopg.connect(place, prepare_threshold=0) as connection:
        while not over.is_set():
            began = time.perf_counter()
            try:
                with connection.transaction():
                    for ask in client.asks:
                        connection.execute(ask.text.encode(), ask.values(chance))
            except psycopg.Error as error:
                load.failures[client.name, error.sqlstate or type(error).__name__] += 1
                if connection.closed:
                    raise
            else:
                times.append((time.perf_counter() - began) * 1000)
            if client.pause_s:
                over.wait(client.pause_s)


def _long_reader(place: str, text: str, times: tuple[float, float], load: Load, over: threading.Event) -> None:
    reads, pauses = times
    with psycopg.connect(place) as connection:
        while not over.is_set():
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                connection.execute(text.encode()).fetchone()
                load.long_reads += 1
                over.wait(reads)
            if pauses:
                over.wait(pauses)


def _watch(dsn: str, load: Load, over: threading.Event) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not over.wait(_POLL_S):
            row: tuple[Any, ...] | None = connection.execute(_WAITS, (_NAME,)).fetchone()
            if row is not None and row[0] > 0:
                load.waits_ms.append(row[0])
