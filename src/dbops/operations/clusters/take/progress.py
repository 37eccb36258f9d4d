"""How far pgBackRest is, as its lock file tells: `{"execId":"31199-204aa4f1","pctCplt":1528,"pid":31199}`."""

import contextlib
import threading
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path

import orjson

from dbops import units
from dbops.engine import clock

_LOOK_S = 0.5


@contextlib.contextmanager
def told_of(lock: Path, tell: Callable[[str], None]) -> Generator[None]:
    """While open, tell each new per cent, with the time that is likely left."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(lock, tell, over), name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(lock: Path, tell: Callable[[str], None], over: threading.Event) -> None:
    began, last = clock.monotonic(), -1
    while not over.wait(_LOOK_S):
        share = read(lock)
        if share is not None and int(share * 100) != last:
            last = int(share * 100)
            tell(shown(share, timedelta(seconds=clock.monotonic() - began)))


def read(lock: Path) -> float | None:
    """Read what part is done; None before it is known, or when the file is another's."""
    try:
        done = orjson.loads(lock.read_bytes())["pctCplt"]
        return min(1.0, max(0.0, done / 10_000))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def shown(share: float, since: timedelta) -> str:
    if share < 0.01:
        return f"{share:.0%}"
    left = since * ((1 - share) / share)
    return f"{share:.0%}, about {units.duration(left)} left"
