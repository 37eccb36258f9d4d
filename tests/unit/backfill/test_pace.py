"""How large the next batch is, and how long the rest takes."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.migrate.backfill.pace import at_most, eta, nap, next_rows

ROWS = st.integers(1, 100_000)
MS = st.floats(0, 100_000)


@given(ROWS, MS, st.booleans())
def test_a_batch_is_never_empty_and_never_larger_than_allowed(rows: int, took: float, waiters: bool) -> None:
    assert 1 <= next_rows(rows, took, 200, 20_000, waiters=waiters) <= max(20_000, rows // 2 if waiters else 0)


@given(st.floats(0.001, 5), st.integers(1, 20_000))
def test_batches_come_to_take_the_time_that_they_may(ms_per_row: float, rows: int) -> None:
    for _ in range(60):
        rows = next_rows(rows, rows * ms_per_row, 200, 20_000)
    took = rows * ms_per_row
    assert took <= 200 * 1.2 or rows == 1
    assert took >= 200 * 0.5 or rows == 20_000 or rows * 2 * ms_per_row > 200 * 1.2


def test_a_batch_that_others_wait_for_is_followed_by_half_of_it() -> None:
    assert next_rows(1000, 10, 200, 20_000, waiters=True) == 500
    assert next_rows(1, 10, 200, 20_000, waiters=True) == 1


def test_a_batch_that_took_far_too_long_is_cut_at_once() -> None:
    assert next_rows(1000, 5000, 200, 20_000) == 250


def test_the_rest_is_told_as_a_range() -> None:
    told = eta(1000, [100.0] * 8 + [10.0] * 2)
    assert told is not None
    assert told.p50 == timedelta(seconds=10)
    assert told.p90 == timedelta(seconds=100)
    assert eta(1000, []) is None
    assert eta(1000, [0.0]) is None


@given(st.integers(0, 10**9), st.lists(st.floats(0.1, 1e6), min_size=1))
def test_the_later_end_is_never_before_the_earlier(left: int, rates: list[float]) -> None:
    told = eta(left, rates)
    assert told is not None
    assert told.p50 <= told.p90


@given(st.integers(1, 20_000), st.floats(0, 10), st.integers(1, 100_000), st.integers(1, 8))
def test_all_walkers_together_keep_to_a_rate(rows: int, took: float, rate: int, walkers: int) -> None:
    rows = at_most(rows, rate, walkers)
    whole = took + nap(rows, took, rate, walkers)
    assert rows * walkers / rate <= whole + 1e-6
    assert rows <= max(1, rate // walkers)
    assert nap(rows, took, None, walkers) == 0
