"""The calendar of partitions."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.partitions import bounds
from dbops.operations.partitions.bounds import Grid, Interval, Kind, Span
from dbops.operations.partitions.observe import parse

MOMENTS = st.integers(-(10**8), 10**8).map(
    lambda minutes: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
GRIDS = st.builds(
    Grid,
    st.sampled_from(Interval),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Havana", "Pacific/Apia"]),
    st.sampled_from(Kind),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(GRIDS, MOMENTS)
def test_every_moment_is_in_its_cell(grid: Grid, moment: datetime) -> None:
    assert grid.cell(moment).holds(moment)


@given(GRIDS, MOMENTS)
def test_a_cell_begins_where_the_one_before_ends(grid: Grid, moment: datetime) -> None:
    cells = list(grid.cells(moment, grid.ahead(moment, 14)))
    assert len(cells) == 15
    assert [one.end for one in cells[:-1]] == [one.start for one in cells[1:]]
    assert bounds.gaps(cells) == []
    assert bounds.overlaps(cells) == []


@pytest.mark.parametrize(
    ("interval", "day", "start", "after", "name"),
    [
        (Interval.DAY, date(2024, 2, 29), date(2024, 2, 29), date(2024, 3, 1), "2024_02_29"),
        (Interval.WEEK, date(2027, 1, 1), date(2026, 12, 28), date(2027, 1, 4), "2026_w53"),
        (Interval.MONTH, date(2024, 2, 29), date(2024, 2, 1), date(2024, 3, 1), "2024_02"),
        (Interval.QUARTER, date(2026, 12, 31), date(2026, 10, 1), date(2027, 1, 1), "2026_q4"),
        (Interval.YEAR, date(2000, 2, 29), date(2000, 1, 1), date(2001, 1, 1), "2000"),
    ],
)
def test_intervals_begin_where_people_expect(
    interval: Interval, day: date, start: date, after: date, name: str
) -> None:
    assert bounds.start_of(interval, day) == start
    assert bounds.next_start(interval, start) == after
    assert bounds.suffix(interval, start) == name


def test_a_month_of_new_york_begins_at_its_midnight_and_feels_summer_time() -> None:
    grid = Grid(Interval.MONTH, "America/New_York")
    assert grid.cell(at("2026-03-15 00:00")) == Span(at("2026-03-01 05:00"), at("2026-04-01 04:00"))


def test_a_midnight_that_is_skipped_is_the_moment_of_the_jump() -> None:
    zone = "America/Havana"  # clocks go from 0:00 to 1:00 on 2026-03-08
    cell = Grid(Interval.DAY, zone).cell(datetime(2026, 3, 8, 12, tzinfo=ZoneInfo(zone)))
    assert cell.start == at("2026-03-08 05:00")
    assert cell.end == at("2026-03-09 04:00")


def test_a_column_without_a_zone_keeps_the_wall_clock() -> None:
    grid = Grid(Interval.DAY, "Asia/Tokyo", Kind.DATE)
    assert grid.now(at("2026-11-20 20:00")) == at("2026-11-21 05:00")
    assert grid.cell(grid.now(at("2026-11-20 20:00"))).start == at("2026-11-21 00:00")


def test_what_foreign_bounds_leave_of_a_cell_is_in_pieces() -> None:
    cell = Span(at("2026-01-01"), at("2026-02-01"))
    taken = [Span(at("2026-01-10"), at("2026-01-12")), Span(None, at("2026-01-03"))]
    assert bounds.without(cell, taken) == [
        Span(at("2026-01-03"), at("2026-01-10")),
        Span(at("2026-01-12"), at("2026-02-01")),
    ]


def test_a_gap_and_an_overlap_are_found() -> None:
    spans = [Span(at("2026-03-01"), at("2026-04-01")), Span(None, at("2026-02-01")), Span(at("2026-03-20"), None)]
    assert bounds.gaps(spans) == [Span(at("2026-02-01"), at("2026-03-01"))]
    assert bounds.overlaps(spans) == [(spans[0], spans[2])]


def test_coverage_ends_at_the_first_hole() -> None:
    month = timedelta(days=30)
    first = at("2026-01-01")
    spans = [Span(first, first + month), Span(first + month, first + 2 * month), Span(first + 3 * month, None)]
    assert bounds.covered_until(spans, first) == first + 2 * month
    assert bounds.covered_until(spans[2:], first + 4 * month) is None


@pytest.mark.parametrize(
    ("text", "span", "default"),
    [
        ("DEFAULT", Span(None, None), True),
        ("FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')", Span(at("2026-01-01"), at("2026-02-01")), False),
        (
            "FOR VALUES FROM (MINVALUE) TO ('2026-02-01 05:30:00+00')",
            Span(None, at("2026-02-01 05:30")),
            False,
        ),
        (
            "FOR VALUES FROM ('2026-01-01 00:00:00', 'a, (b') TO (MAXVALUE, MAXVALUE)",
            Span(at("2026-01-01"), None),
            False,
        ),
        ("FOR VALUES FROM ('-infinity') TO ('infinity')", Span(None, None), False),
        ("FOR VALUES IN ('x')", Span(None, None), False),
    ],
)
def test_bounds_are_read_as_the_server_writes_them(text: str, span: Span, *, default: bool) -> None:
    assert parse(text) == (span, default)
