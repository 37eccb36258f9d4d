"""How long a backfill is said to take yet, beside how long it then took: as `migrate status` tells it on the way.

The table is thick in one part of its key and thin in another, and has grown by half since it was analyzed.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from dbops.engine import clock
from dbops.operations.migrate.standing import ready

import changing
import filling

ROWS = 300_000
ROUNDS = 3
_MARKS = (25, 50, 75)
_THINGS = f"""
    CREATE TABLE things (id bigint PRIMARY KEY, a text, b text) WITH (autovacuum_enabled = off);
    INSERT INTO things SELECT n * CASE WHEN n < {ROWS} / 3 THEN 1 ELSE 1000 END, md5(n::text)
      FROM generate_series(1, {ROWS}, 3) n;
    INSERT INTO things SELECT 1 + n * CASE WHEN n < {ROWS} / 3 THEN 1 ELSE 1000 END, md5(n::text)
      FROM generate_series(1, {ROWS}, 3) n;
    ANALYZE things;
    INSERT INTO things SELECT 2 + n * CASE WHEN n < {ROWS} / 3 THEN 1 ELSE 1000 END, md5(n::text)
      FROM generate_series(1, {ROWS}, 3) n;"""


@dataclass
class Eye:
    """Looks at the change as `migrate status` does, until told that it is over."""

    things: filling.Change
    over: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[float, int, float, float]] = field(default_factory=list[tuple[float, int, float, float]])

    def look(self) -> None:
        live = self.things.live
        known = ready.histories(live.config, live.toml, (changing.TARGET,))
        while not self.over.wait(0.02):
            looked = ready.look(live.config, live.run(), clock.now(), known, changing.TARGET)
            for one in looked.standing.changes:
                walk = one.walk
                if walk is not None and not walk.finished and walk.eta_likely and walk.eta_late:
                    ends = (walk.eta_likely.total_seconds(), walk.eta_late.total_seconds())
                    self.seen.append((time.perf_counter(), walk.percent, *ends))


def test_what_is_left_is_told_with_a_small_error(server: str, folder: Path) -> None:
    told: dict[int, list[float]] = {mark: [] for mark in _MARKS}
    late: dict[int, list[bool]] = {mark: [] for mark in _MARKS}
    for number in range(ROUNDS):
        place = folder / str(number)
        place.mkdir()
        with filling.change(server, place, _THINGS) as things:
            eye = Eye(things)
            thread = threading.Thread(target=eye.look)
            thread.start()
            try:
                things.fill()
                ended = time.perf_counter()
            finally:
                eye.over.set()
                thread.join()
        for mark in _MARKS:
            at, _, likely, latest = next(one for one in eye.seen if one[1] >= mark)
            told[mark].append((likely - (ended - at)) / (ended - at))
            late[mark].append(latest >= ended - at)
    for mark in _MARKS:
        errors = ", ".join(f"{error:+.0%}" for error in told[mark])
        print(f"at {mark} %: error of the likely end {errors}; the late end held {sum(late[mark])} of {ROUNDS} times")
    assert min(map(abs, told[50])) <= 0.5, "half way, what is left is told at least within half of it"
