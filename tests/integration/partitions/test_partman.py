"""The calendar, beside that of pg_partman: the same bounds for a hundred years, in several zones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dbops.operations.partitions.bounds import Grid, Interval, Kind

from partitioning import Shop

_PEER = {
    Interval.DAY: "daily",
    Interval.WEEK: "weekly",
    Interval.MONTH: "monthly",
    Interval.QUARTER: "quarterly",
    Interval.YEAR: "yearly",
}
# It answers in milliseconds each: every month, quarter and year is asked, and days and weeks at all hours.
_ASK = """
    SELECT at, (partman.show_partition_name('public.asked', at::text)).suffix_timestamp
      FROM generate_series('1970-01-01 00:00+00'::timestamptz, '2070-01-01 00:00+00', %s::interval) at"""
_STEP = {
    Interval.DAY: "16 days 5 hours",
    Interval.WEEK: "17 days 7 hours",
    Interval.MONTH: "29 days 7 hours",
    Interval.QUARTER: "61 days 5 hours",
    Interval.YEAR: "97 days 7 hours",
}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("interval", list(Interval))
def test_bounds_are_those_of_pg_partman_for_a_hundred_years(
    database: str, folder: Path, interval: Interval, zone: str
) -> None:
    shop = Shop(database, folder)
    shop.sql("CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman")
    shop.sql("SELECT set_config('TimeZone', %s, false)", zone)
    shop.sql("CREATE TABLE asked (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    shop.sql(
        "SELECT partman.create_parent('public.asked', 'at', 'native', %s, p_premake => 1)",
        _PEER[interval],
    )
    grid = Grid(interval, zone, Kind.TIMESTAMPTZ)
    answers = shop.sql(_ASK, _STEP[interval])
    differing = [
        (moment, theirs)
        for moment, theirs in answers
        if grid.cell(moment).start != _instant(theirs, zone) and not _ambiguous(grid, moment)
    ]
    assert len(answers) > 370
    assert differing == []
    shop.close()


def _instant(told: datetime, zone: str) -> datetime:
    """Take what pg_partman says, an instant or a wall clock of the session."""
    return (told if told.tzinfo else told.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _ambiguous(grid: Grid, moment: datetime) -> bool:
    """A cell whose start is a midnight that a change of the clocks skipped: there both are right, an hour apart."""
    start = grid.cell(moment).start
    assert start is not None
    before = (start - timedelta(hours=2)).astimezone(ZoneInfo(grid.zone)).utcoffset()
    return before != (start + timedelta(hours=2)).astimezone(ZoneInfo(grid.zone)).utcoffset()


@pytest.mark.parametrize("zone", ["America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Asuncion", "Pacific/Apia"])
def test_midnights_that_clocks_skip_or_repeat_are_those_of_the_server(shop: Shop, zone: str) -> None:
    grid = Grid(Interval.DAY, zone)
    days = shop.sql(
        "SELECT d::date, d AT TIME ZONE %s FROM generate_series('2000-01-01'::timestamp, '2026-12-31', '1 day') d",
        zone,
    )
    assert [(day, grid.at(day), theirs) for day, theirs in days if grid.at(day) != theirs] == []
