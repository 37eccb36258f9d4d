"""Moments as people write them: one reading or none."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.errors import UsageError
from dbops.operations.clusters.reach.moment import read

BERLIN = "Europe/Berlin"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_a_time_with_its_offset_is_read_to_the_microsecond_whatever_the_zone(wall: datetime, minutes: int) -> None:
    shift = timedelta(minutes=minutes)
    sign, rest = ("-", -minutes) if minutes < 0 else ("+", minutes)
    text = f"{wall.isoformat()}{sign}{rest // 60:02}:{rest % 60:02}"
    assert read(text, None) == read(text, BERLIN) == wall.replace(tzinfo=UTC) - shift


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_wall_clock_is_read_back_or_refused_but_never_misread(moment: datetime) -> None:
    wall = moment.astimezone(ZoneInfo(BERLIN))
    try:
        assert read(wall.replace(tzinfo=None).isoformat(), BERLIN) == moment
    except UsageError:
        assert wall.replace(fold=0).utcoffset() != wall.replace(fold=1).utcoffset()


def test_an_hour_that_came_twice_is_refused_with_both_readings() -> None:
    with pytest.raises(UsageError, match="came twice") as caught:
        read("2026-10-25T02:30:00", BERLIN)
    assert caught.value.hint == "say which one: 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"


def test_an_hour_that_never_was_is_refused() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read("2026-03-29T02:30:00", BERLIN)


@pytest.mark.parametrize("text", ["yesterday", "now", "14:00", "2026-13-01T00:00:00Z", "2026-08-01 25:00Z", ""])
def test_words_and_half_moments_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no moment"):
        read(text, BERLIN)


def test_without_any_zone_a_time_is_refused() -> None:
    with pytest.raises(UsageError, match="has no zone"):
        read("2026-08-01T14:59:59", None)
