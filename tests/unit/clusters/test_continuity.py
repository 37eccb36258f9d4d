"""Continuity against a model that asks for every segment, one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.clusters.archives import Archive, archive, runs, sort
from dbops.operations.clusters.reach import continuity
from dbops.operations.clusters.reach.continuity import Lost
from dbops.operations.clusters.wal import Segment, Switch, lsn

SIZE = 16 << 20
THEN = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """A backup set, as far as continuity looks at it."""

    label: str
    timeline: int
    first: int
    last: int
    size: int = 1
    kind: str = "full"
    started: datetime = THEN
    stopped: datetime = THEN
    prior: str | None = None
    error: bool | None = False
    repository: int = 1
    database_id: int = 1
    segment_size: int = SIZE

    @property
    def wal_start(self) -> str:
        return Segment(self.timeline, self.first).name(self.segment_size)

    @property
    def wal_stop(self) -> str:
        return Segment(self.timeline, self.last).name(self.segment_size)

    @property
    def lsn_start(self) -> str:
        return lsn(self.first * self.segment_size + 40)

    @property
    def lsn_stop(self) -> str:
        return lsn(self.last * self.segment_size + 256)


def made(
    numbers: Mapping[int, set[int]], histories: Mapping[int, tuple[Switch, ...]] | None = None, size: int = SIZE
) -> Archive:
    """An archive of these segments, by timeline, as a listing would tell it."""
    files = [
        (f"15-1/{name[:16]}/{name}-{'a' * 40}.zst", 100, 0)
        for timeline, those in numbers.items()
        for name in (Segment(timeline, number).name(size) for number in those)
    ]
    names = sort(files).get("15-1")
    assert names is not None or not files
    if names is None:
        return Archive(1, "15-1", 1, size)
    return archive(names, histories or {}, repository=1, id="15-1", database_id=1, segment_size=size)


few = st.sets(st.integers(0, 40), max_size=30)
switches = st.tuples(st.integers(1, 40), st.integers(0, SIZE - 1))


@given(few)
def test_stretches_are_what_lies_side_by_side(numbers: set[int]) -> None:
    found = runs(numbers)
    assert {n for first, last in found for n in range(first, last + 1)} == numbers
    assert all(after[0] > before[1] + 1 for before, after in pairwise(found))


@given(few)
def test_gaps_are_what_is_missing_between_the_first_and_the_last(numbers: set[int]) -> None:
    holes = {n for gap in continuity.gaps(made({1: numbers})) for n in range(gap.first.number, gap.last.number + 1)}
    wanted = set(range(min(numbers), max(numbers) + 1)) - numbers if numbers else set[int]()
    assert holes == wanted


@given(few, few, switches, st.data())
def test_a_backup_reaches_to_the_first_segment_that_is_missing_on_each_timeline(
    one: set[int], two: set[int], switch: tuple[int, int], data: st.DataObject
) -> None:
    at = switch[0] * SIZE + switch[1]
    there = made({1: one, 2: two}, {2: (Switch(1, at),)})
    first = data.draw(st.integers(0, 40))
    backup = Made("b", 1, first, data.draw(st.integers(first, 41)))
    far = continuity.reach(backup, there)
    own = range(backup.first, backup.last + 1)
    assert far.complete == all(n in one for n in own)
    if not far.complete:
        missing = next(n for n in own if n not in one)
        assert (far.missing, far.ways) == (Segment(1, missing), ())
        return
    told = {way.timeline: way.until for way in far.ways}
    until = backup.last
    while until + 1 in one:
        until += 1
    assert told[1] == Segment(1, until)
    passes = backup.last * SIZE + 256 <= at
    assert (2 in told) == (passes and bool({1, 2} & told.keys()))
    if passes:
        assert told[2] == _until_on_two(one, two, switch[0], backup.last)


def _until_on_two(one: set[int], two: set[int], left: int, last: int) -> Segment:
    """Walk on: before the segment of the switch on the old timeline, from it on the new one."""
    at = last
    if at >= left and at not in two:
        return Segment(2, at) if at in two else Segment(1, at)
    while (at + 1 in one) if at + 1 < left else (at + 1 in two):
        at += 1
    return Segment(2 if at >= left else 1, at)


def test_the_segment_of_the_switch_counts_on_the_new_timeline() -> None:
    there = made({1: {1, 2, 3}, 2: {3, 4, 5}}, {2: (Switch(1, 3 * SIZE + 100),)})
    [old, new] = continuity.reach(Made("b", 1, 1, 1), there).ways
    assert (old.until, old.missing) == (Segment(1, 3), None)
    assert (new.until, new.missing) == (Segment(2, 5), None)
    assert continuity.gaps(there) == ()


def test_a_gap_before_the_switch_cuts_the_new_timeline_off_and_is_told_once() -> None:
    there = made(
        {1: {1, 2, 5}, 2: {6, 7}, 3: {7, 8}},
        {2: (Switch(1, 6 * SIZE),), 3: (Switch(1, 6 * SIZE), Switch(2, 7 * SIZE + 9))},
    )
    assert [(gap.first, gap.last) for gap in continuity.gaps(there)] == [(Segment(1, 3), Segment(1, 4))]
    assert {way.until for way in continuity.reach(Made("b", 1, 1, 1), there).ways} == {Segment(1, 2)}
    assert [way.missing for way in continuity.reach(Made("b", 1, 5, 5), there).ways] == [None, None, None]


def test_a_backup_behind_the_switch_of_its_timeline_does_not_reach_the_new_one() -> None:
    there = made({1: {1, 2, 3, 4}, 2: {2, 3}}, {2: (Switch(1, 2 * SIZE + 100),)})
    [way] = continuity.reach(Made("b", 1, 4, 4), there).ways
    assert way.timeline == 1


def test_what_was_acknowledged_is_cut_out_of_a_gap() -> None:
    lost = Lost(Segment(1, 3), Segment(1, 4), "disk", date(2026, 11, 1))
    found = continuity.gaps(made({1: {1, 7}}), [lost])
    assert [(gap.first.number, gap.last.number, gap.lost) for gap in found] == [
        (2, 2, None),
        (3, 4, lost),
        (5, 6, None),
    ]


def test_nothing_is_missing_before_what_backups_need() -> None:
    assert continuity.gaps(made({1: {1, 3, 5}}), since=4) == continuity.gaps(made({1: {3, 5}}))
    assert continuity.gaps(made({1: {1, 3, 5}}), since=5) == ()
    [gap] = continuity.gaps(made({1: {1, 7}}), since=4)
    assert (gap.first.number, gap.last.number) == (4, 6)


@given(st.sampled_from([1, 16, 64, 1024]), st.integers(0, 1 << 20))
def test_segments_of_every_size_are_numbered_without_a_jump(megabytes: int, number: int) -> None:
    size = megabytes << 20
    there = made({1: {number, number + 1, number + 2}}, size=size)
    assert continuity.gaps(there) == ()
    assert [there.name(one) for one in there.segments()] == [Segment(1, number + n).name(size) for n in range(3)]


def test_two_files_of_one_name_are_noticed_and_partial_ones_do_not_count() -> None:
    name = "000000010000000000000003"
    files = [(f"15-1/{name[:16]}/{name}-{letter * 40}.gz", 1, 1) for letter in "ab"]
    files.append((f"15-1/{name[:16]}/000000010000000000000004.partial-{'c' * 40}.gz", 1, 1))
    files.append((f"15-1/{name[:16]}/{name}.00000028.backup", 1, 1))
    files.append(("archive.info", 1, 1))
    names = sort(files)["15-1"]
    there = archive(names, {}, repository=1, id="15-1", database_id=1, segment_size=SIZE)
    assert there.duplicates == (Segment(1, 3),)
    assert there.runs == {1: ((3, 3),)}
    assert (len(there.partial), len(there.backups)) == (1, 1)


def test_a_chain_leads_from_the_full_set_to_the_one_that_was_asked_for() -> None:
    sets = [Made("f", 1, 1, 1), Made("d", 1, 2, 2, prior="f"), Made("i", 1, 3, 3, prior="d"), Made("x", 1, 4, 4)]
    assert [one.label for one in continuity.chain(sets, "i")] == ["f", "d", "i"]
    assert continuity.chain(sets, "nosuch") == ()
