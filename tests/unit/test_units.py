"""Durations, sizes and instants: what people write is read, and what is written can be read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("90 seconds", 90),
        ("250ms", 0.25),
        (" 2 Hours ", 7200),
        ("30 days", 30 * 86_400),
        ("1w", 7 * 86_400),
        ("0s", 0),
        ("1.5h", 5400),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == timedelta(seconds=seconds)


def test_a_year_is_longer_than_365_days() -> None:
    assert units.parse_duration("7 years") > timedelta(days=7 * 365)


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "m", "5 parsecs", "-5m", "5m and more", "5ss", "5hs", "1e9d", f"{'9' * 400}s", "9999999 years"],
)
def test_what_is_no_duration_is_told_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(milliseconds=850), "850 ms"),
        (timedelta(seconds=0.9996), "1.0 s"),
        (timedelta(seconds=12.34), "12.3 s"),
        (timedelta(seconds=59.97), "1m 0s"),
        (timedelta(minutes=5, seconds=10), "5m 10s"),
        (timedelta(hours=6, minutes=3), "6h 3m"),
        (timedelta(days=12, hours=4), "12d 4h"),
        (-timedelta(minutes=1), "-1m 0s"),
    ],
)
def test_a_duration_is_written_for_a_person(span: timedelta, text: str) -> None:
    assert units.duration(span) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365 * 100)))
def test_an_exact_duration_is_read_back_as_the_same(span: timedelta) -> None:
    assert abs(units.parse_duration(units.exact_duration(span)) - span) <= timedelta(microseconds=1)


@given(st.integers(0, 10**10))
def test_an_exact_duration_of_whole_milliseconds_is_exactly_the_same(thousandths: int) -> None:
    span = timedelta(milliseconds=thousandths)
    assert units.parse_duration(units.exact_duration(span)) == span


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512", 512),
        ("512b", 512),
        ("64MB", 64 * 1024**2),
        ("64 mb", 64 * 1024**2),
        ("4GiB", 4 * 1024**3),
        ("1.5k", 1536),
        ("2T", 2 * 1024**4),
        ("9007199254740993", 9_007_199_254_740_993),
    ],
)
def test_a_size_is_read_as_postgresql_reads_it(text: str, count: int) -> None:
    assert units.parse_size(text) == count


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1 parsec", "64 MB!", "9" * 5000])
def test_what_is_no_size_is_told_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (812, "812 B"), (1023, "1023 B"), (1024, "1.0 kB"), (1024**2 - 1, "1.0 MB"), (23_383_245, "22.3 MB")],
)
def test_a_size_is_written_for_a_person(count: int, text: str) -> None:
    assert units.size(count) == text


@given(st.integers(0, 10**18))
def test_no_size_is_written_with_five_digits_before_the_point(count: int) -> None:
    if count < 9999 * 1024**4:
        assert len(units.size(count).split()[0].partition(".")[0]) <= 4


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_an_instant_is_read_back_to_the_millisecond(moment: datetime) -> None:
    if moment.year in {1, 9999}:  # whose neighbours in UTC do not exist
        return
    text = units.instant(moment)
    assert text.endswith("Z")
    assert abs(units.parse_instant(text) - moment) < timedelta(milliseconds=1)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_stamp_is_read_back_and_sorts_by_its_moment(moment: datetime) -> None:
    later = moment + timedelta(milliseconds=1)
    assert units.parse_stamp(units.stamp(moment)) == units.parse_instant(units.instant(moment))
    assert units.stamp(moment) < units.stamp(later)


@pytest.mark.parametrize(
    ("number", "told", "names"),
    [(0, "0 files", ""), (1, "1 file", "a"), (3, "3 files", "a, b, c"), (5, "5 files", "a, b, c and 2 more")],
)
def test_many_things_are_counted_and_some_of_them_named(number: int, told: str, names: str) -> None:
    assert units.counted(number, "file") == told
    assert units.some("abcde"[:number]) == names
