"""What is judged of the reach through time: each finding with its code and gravity, and none without a reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.finding import Severity
from dbops.operations.clusters.reach import choose, samples
from dbops.operations.clusters.reach.check import check
from dbops.operations.clusters.reach.facts import Archiver, Border, Interval, Known, Rpo, Target, Told, Window
from dbops.operations.clusters.reach.samples import Sample
from dbops.operations.clusters.wal import Segment

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ONE = Interval(
    1,
    "15-1",
    1,
    "full",
    Border(NOW - timedelta(hours=2), exact=True),
    Border(NOW - timedelta(hours=1), exact=True),
    Segment(1, 1),
    Segment(1, 9),
)
FINE = Window("main", NOW, (ONE,), (), (), Rpo(timedelta(0), exact=True, how="x"))
BROKEN = Archiver(failing=True, last_failed=NOW, last_failed_wal="000000010000000000000001", last_archived=None)


def test_nothing_is_told_of_what_is_fine() -> None:
    assert list(check(FINE, timedelta(minutes=5))) == []


@pytest.mark.parametrize(
    ("window", "severity", "code"),
    [
        (replace(FINE, gaps=(Told(1, "A", "B", 2),)), Severity.BAD, "DBB501"),
        (replace(FINE, gaps=(Told(1, "A", "A", 1, "disk", "2026-11-01"),)), Severity.INFO, "DBB503"),
        (replace(FINE, backups=(Known("f", "full", 1, NOW, complete=False, missing="A"),)), Severity.BAD, "DBB502"),
        (
            replace(FINE, backups=(Known("f", "full", 1, NOW, complete=False, missing="A", lost="disk"),)),
            Severity.INFO,
            "DBB503",
        ),
        (replace(FINE, duplicates=("A",)), Severity.BAD, "DBB504"),
        (replace(FINE, unread=("repository 2: no",)), Severity.UNKNOWN, "DBB505"),
        (replace(FINE, rpo=Rpo(timedelta(hours=1), exact=True, how="x")), Severity.MISSED, "DBB506"),
        (replace(FINE, rpo=Rpo(timedelta(hours=1), exact=False, how="x")), Severity.WARNING, "DBB510"),
        (replace(FINE, rpo=Rpo(None, exact=False, how="x")), Severity.WARNING, "DBB510"),
        (replace(FINE, archiver=BROKEN), Severity.WARNING, "DBB507"),
        (replace(FINE, foreign=7), Severity.BAD, "DBB508"),
        (replace(FINE, about=("why",)), Severity.INFO, "DBB509"),
        (replace(FINE, intervals=()), Severity.BAD, "DBB511"),
    ],
)
def test_each_thing_that_is_wrong_has_its_code_and_its_gravity(window: Window, severity: Severity, code: str) -> None:
    assert [(one.severity, one.code) for one in check(window, timedelta(minutes=5))] == [(severity, code)]


def test_without_a_promise_no_rpo_is_missed() -> None:
    assert list(check(replace(FINE, rpo=Rpo(timedelta(days=9), exact=True, how="x")), None)) == []


# ── Which interval holds a moment ────────────────────────────────────────────────────────────────


@given(st.lists(st.integers(0, 12), min_size=2, max_size=8, unique=True).map(sorted), st.integers(-1, 13))
def test_a_moment_is_held_by_the_interval_it_lies_in_and_the_upper_border_by_none(edges: list[int], at: int) -> None:
    def moment(second: int) -> datetime:
        return NOW + timedelta(seconds=second)

    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    intervals = [
        replace(ONE, since=Border(moment(a), exact=True), until=Border(moment(b), exact=True)) for a, b in pairs
    ]
    wanted = next((n for n, (a, b) in enumerate(pairs) if a <= at < b), None)
    assert choose.holding(intervals, moment(at), exclusive=False) == wanted
    last = next((n for n, (a, b) in enumerate(pairs) if a <= at <= b), None)
    assert choose.holding(intervals, moment(at), exclusive=True) == last


def test_a_way_always_names_its_set_and_its_timeline() -> None:
    told = choose.options(Target("at", at=NOW, exclusive=True), "20261121-000000F", 2, 11).arguments()
    assert told == (
        "--repo=2",
        "--set=20261121-000000F",
        "--type=time",
        "--target=2026-11-21 12:00:00.000000+00",
        "--target-exclusive",
        "--target-timeline=11",
        "--target-action=promote",
    )
    assert "--target-action=promote" not in choose.options(Target("latest"), "f", 1, 1).arguments()


# ── Samples ──────────────────────────────────────────────────────────────────────────────────────


def test_a_border_that_no_commit_marks_is_told_as_about() -> None:
    assert choose.moment(Border(NOW, exact=True)) == choose.instant(NOW)
    assert choose.moment(Border(NOW, exact=False)) == f"about {choose.instant(NOW)}"


def test_noted_samples_are_kept_and_those_that_are_too_many_dropped(tmp_path: Path) -> None:
    samples.note(tmp_path, "main", None)
    assert samples.kept(tmp_path, "main") == ()
    noted = [Sample(NOW + timedelta(seconds=n), n, 7, 1) for n in range(9000)]
    for one in noted:
        samples.note(tmp_path, "main", one)
    kept = samples.kept(tmp_path, "main")
    assert kept == tuple(noted)[-len(kept) :]
    assert 2000 <= len(kept) < 9000


def test_samples_tell_by_when_everything_before_a_position_was_written(tmp_path: Path) -> None:
    for minute, lsn in ((0, 10), (1, 20), (2, 20), (3, 30)):
        samples.keep(tmp_path, "main", Sample(NOW + timedelta(minutes=minute), lsn, 7, 1))
    kept = samples.kept(tmp_path, "main")
    assert [one.lsn for one in kept] == [10, 20, 30]  # the log stood still: the newest moment of it
    assert samples.archived_by(kept, 25, system=7, timeline=1) == NOW + timedelta(minutes=2)
    assert samples.archived_by(kept, 9, system=7, timeline=1) is None
    assert samples.archived_by(kept, 99, system=7, timeline=2) is None
    assert samples.archived_by(kept, 99, system=8, timeline=1) is None


def test_a_torn_sample_is_none_and_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "rates" / "main.wal.jsonl"
    path.parent.mkdir()
    path.write_text('["2026-11-21T12:00:00.000Z", 5, 7, 1]\n["2026-11-')
    assert [one.lsn for one in samples.kept(tmp_path, "main")] == [5]
    path.write_text("".join(f'["2026-11-21T12:00:00.000Z", {n}, 7, 1]\n' for n in range(2500)))
    assert len(samples.keep(tmp_path, "main", Sample(NOW, 9999, 7, 1))) == 2000
