"""Continuity over 100,000 segments, beside the bare listing of the same repository."""

import resource
import time
from pathlib import Path

from dbops.operations.clusters.reach import continuity
from dbops.operations.clusters.repository import Repository, observe

import clustering
from clustering import TARGET, Cluster

_SEGMENTS = 100_000
_ROUNDS = 8
_MORE_S = 0.5
_SIZE = 1 << 20
_MISSING = 70_000


def _fabricated(live: Cluster) -> None:
    """Lay down files that are named as segments are; nobody reads what is in them."""
    per_file = (1 << 32) // _SIZE
    root = live.repository / "archive/main/15-1"
    [own] = sorted(path.name for path in root.glob("*/*") if len(path.name) > 60)[-1:]
    start = int(own[8:16], 16) * per_file + int(own[16:24], 16) + 1
    for number in range(start, start + _SEGMENTS):
        if number == start + _MISSING:
            continue
        log, low = divmod(number, per_file)
        folder = root / f"00000001{log:08X}"
        folder.mkdir(exist_ok=True)
        (folder / f"00000001{log:08X}{low:08X}-{number:040x}.zst").touch()


def _judged(repository: Repository) -> tuple[int, int]:
    [archive] = repository.archives
    far = [continuity.reach(backup, archive) for backup in repository.backups(archive)]
    assert all(one.complete for one in far)
    return len(continuity.stretches(archive)), len(continuity.gaps(archive))


def test_continuity_of_100_000_segments_costs_half_a_second_more_than_listing_them(folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        _fabricated(live)
        place = live.config.cluster[TARGET]
        bare: list[float] = []
        ours: list[float] = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            live.pgbackrest("repo-ls", "--repo=1", "--output=json", "--recurse", "archive/main")
            bare.append(time.perf_counter() - began)
            began = time.perf_counter()
            assert _judged(observe(place, target=TARGET)) == (2, 1)
            ours.append(time.perf_counter() - began)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"\nrepo-ls {min(bare):.2f} s, continuity {min(ours):.2f} s, {megabytes:.0f} MB at most")
        assert min(ours) <= min(bare) + _MORE_S
