"""How long an application waits for a change: each kind from new to contract, beside somebody who reads for 30 s.

Each kind has a database of its own, and several are led at once: most of the time they wait for who reads.
DBOPS_BENCHMARK_KINDS="index check" does some of them.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kinds
import lives
from conftest import Dbops
from dbops.engine.patience import Ramp
from lives import Beside, Group, Kind

_AT_ONCE = int(os.environ.get("DBOPS_BENCHMARK_JOBS", "6"))
_READ_S = 30.0
_MOST_MS = 1000 * Ramp().longest_timeout.total_seconds() + 50
_SOME = os.environ.get("DBOPS_BENCHMARK_KINDS", "").split()


def test_no_kind_of_change_makes_anybody_wait_longer_than_a_lock_timeout(
    server: str, folder: Path, dbops: Dbops
) -> None:
    def one_life(group: Group, one: Kind) -> Beside:
        place = folder / one.name
        place.mkdir(mode=0o711)
        with lives.place(server, place, group) as live:
            with lives.led(dbops, live, group, (one,), read_s=_READ_S, pause_s=_READ_S) as beside:
                pass
            assert lives.ended(live, one) == lives.wanted(one)
        return beside

    every = [(group, one) for group in kinds.GROUPS for one in group.kinds if not _SOME or one.name in _SOME]
    with ThreadPoolExecutor(_AT_ONCE) as at_once:
        led = {one.name: at_once.submit(one_life, group, one) for group, one in every}
    told = {name: life.result() for name, life in led.items()}
    for name, beside in told.items():
        print(
            f"{name}: {beside.transactions} transactions, {sum(beside.failures.values())} failed, "
            f"{beside.long_reads} long reads, longest wait for a lock {beside.longest_wait_ms:.0f} ms"
        )
    assert {name: beside.failures for name, beside in told.items() if beside.failures} == {}
    assert {name: beside.longest_wait_ms for name, beside in told.items() if beside.longest_wait_ms > _MOST_MS} == {}
