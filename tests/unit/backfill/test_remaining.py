"""How many rows are left, told by what was estimated before and what was met since."""

from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.migrate.backfill.meter import Meter
from dbops.operations.migrate.backfill.remaining import left, percent

ROWS = st.integers(0, 10**9)
SHARE = st.floats(0.001, 0.999)


@given(ROWS, ROWS, SHARE)
def test_what_is_left_lies_between_what_each_of_the_two_would_tell(total: int, seen: int, share: float) -> None:
    bounds = sorted(((1 - share) * total, (1 - share) * seen / share))
    assert bounds[0] - 1 <= left(total, seen, share) <= bounds[1] + 1


@given(ROWS, ROWS, SHARE, SHARE)
def test_the_further_the_walk_has_come_the_less_is_left(total: int, seen: int, one: float, other: float) -> None:
    nearer, further = sorted((one, other))
    assert left(total, seen, further) <= left(total, seen, nearer)


@given(ROWS, ROWS, SHARE)
def test_an_estimate_that_was_right_is_not_made_worse(total: int, seen: int, share: float) -> None:
    assert abs(left(total, round(share * total), share) - (1 - share) * total) <= 2
    assert left(total, seen, None) == max(0, total - seen)
    assert left(total, seen, 1.0) == left(total, seen, 0.0) == left(total, seen, None)


@given(ROWS, ROWS)
def test_nobody_is_told_all_of_it_before_the_end(seen: int, still: int) -> None:
    assert 0 <= percent(seen, still) <= 99


def test_a_stale_estimate_is_corrected_on_the_way() -> None:
    """Four times as many rows as the statistics know of: by rows alone nothing would be left at a quarter."""
    assert left(1000, 1000, 0.25) == 1312
    assert left(1000, 2000, 0.5) == 1250
    assert left(1000, 3600, 0.9) == 370
    assert left(1000, 1000, None) == 0


def test_the_meter_tells_what_is_left_by_the_range_of_the_key() -> None:
    told: list[tuple[int, str]] = []
    meter = Meter("main", 0, 1000, lambda one: told.append((one.done, one.step)), lambda: 0.25)
    meter.add(1000, 1.0, 1)
    assert told[-1] == (43, "% of about 2,312 rows, 1.3 s to 1.3 s left")
    meter.held("replica-lag", 5)
    assert told[-1][1].endswith("1.3 s left, throttled for 5.0 s so far, held by replica-lag")
