"""Rates as they are typed."""

import pytest

from dbops.cli import migrate_backfill
from dbops.errors import UsageError

rate = migrate_backfill._rate  # pyright: ignore[reportPrivateUsage]


def test_rates_are_rows_a_second_or_off() -> None:
    assert (rate("5000/s"), rate("2k/s"), rate("off")) == (5000, 2000, 0)


@pytest.mark.parametrize("wrong", ["fast", "0/s", "-1/s", "5000", "99999999999/s", "1.5k/s", "5000/m"])
def test_what_is_no_rate_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no rate"):
        rate(wrong)
