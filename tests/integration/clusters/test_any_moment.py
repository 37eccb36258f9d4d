"""Any moment comes back: every row that was committed before is there, and none that came later."""

import random
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg

from dbops.engine import clock
from dbops.operations.clusters.reach import ready as reaching
from dbops.operations.clusters.reach.facts import Target
from dbops.operations.clusters.restore import goals, ready
from dbops.operations.clusters.restore.apply import Told
from dbops.operations.clusters.restore.facts import Wanted
from dbops.servers import postgres, scratch

import clustering
from clustering import TARGET, Cluster

_TABLE = "CREATE TABLE ledger (writer int, number int, PRIMARY KEY (writer, number))"
_WRITERS = 3


@dataclass(frozen=True)
class Written:
    """A row, and moments that its commit certainly lies between; told outside the cluster."""

    row: tuple[int, int]
    asked: datetime
    done: datetime


@dataclass
class Ledger:
    rows: list[Written] = field(default_factory=list[Written])
    stop: threading.Event = field(default_factory=threading.Event)
    failed: list[BaseException] = field(default_factory=list[BaseException])

    def write(self, conninfo: str, writer: int) -> None:
        try:
            with psycopg.connect(conninfo, autocommit=True) as connection:
                number = 0
                while not self.stop.is_set():
                    number += 1
                    asked = clock.now()
                    connection.execute("INSERT INTO ledger VALUES (%s, %s)", (writer, number))
                    self.rows.append(Written((writer, number), asked, clock.now()))
                    self.stop.wait(random.uniform(0, 0.004))
        except BaseException as error:
            self.failed.append(error)
            raise


@contextmanager
def _load(live: Cluster, ledger: Ledger) -> Generator[None]:
    with live.connect() as connection:
        connection.execute(_TABLE)
    writers = [threading.Thread(target=ledger.write, args=(live.conninfo, n)) for n in range(_WRITERS)]
    for one in writers:
        one.start()
    try:
        yield
    finally:
        ledger.stop.set()
        for one in writers:
            one.join()


def test_under_load_random_moments_come_back_with_every_row_before_and_none_after(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        ledger = Ledger()
        ends: list[datetime] = []
        with _load(live, ledger):
            for kind in ("full", "diff", "incr"):
                live.pgbackrest("backup", f"--type={kind}", "--no-expire-auto")
                ends.append(clock.now())
            live.switch()
        assert not ledger.failed
        live.switch()
        last = max(one.done for one in ledger.rows)
        seen: set[int] = set()
        for since in (*ends[:2], ends[0], ends[2]):
            moment = since + random.uniform(0.3, 0.98) * (last - since)
            rows = _restored(live, Target("at", at=moment))
            certain = {one.row for one in ledger.rows if one.done < moment}
            possible = {one.row for one in ledger.rows if one.asked <= moment}
            assert certain <= rows, (moment, certain - rows)
            assert rows <= possible, (moment, rows - possible)
            seen.add(len(rows))
        assert len(seen) > 1
        assert _restored(live, Target("latest")) == {one.row for one in ledger.rows}


def _restored(live: Cluster, wanted: Target) -> set[tuple[int, int]]:
    run, told = live.run("pitr restore"), Told()
    rows: set[tuple[int, int]] = set()
    config = live.config

    def choose() -> goals.Goal:
        return goals.goal(reaching.plan_target(config, TARGET, wanted, run, clock.now()))

    with ready.scratch(config, TARGET, run, choose, wanted=Wanted(), now=clock.now(), told=told) as planned:
        for step in planned.plan.steps:
            planned.apply(step)
            if step.id == "start":
                copy = scratch.at(Path(told.restored[-1].folder))
                with psycopg.connect(postgres.conninfo(copy)) as connection:
                    rows |= {(a, b) for a, b in connection.execute("SELECT writer, number FROM ledger")}
    assert told.findings == []
    return rows
