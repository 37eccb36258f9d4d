"""How long a service asks us to wait, in each of the ways in which services say it."""

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine import clock
from dbops.stores.wire import Patience, retry_after


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x-ms-retry-after-ms": "150"}, timedelta(milliseconds=150)),
        ({"retry-after-ms": "12.5"}, timedelta(milliseconds=12.5)),
        ({"retry-after": "3"}, timedelta(seconds=3)),
        ({"retry-after": "3", "x-ms-retry-after-ms": "7"}, timedelta(milliseconds=7)),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, timedelta(0)),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_what_is_asked_for_is_understood(headers: dict[str, str], told: timedelta | None) -> None:
    assert retry_after(headers) == told


def test_a_moment_to_come_is_a_time_to_wait() -> None:
    told = retry_after({"retry-after": format_datetime(clock.now() + timedelta(seconds=90), usegmt=False)})
    assert told is not None
    assert timedelta(seconds=80) < told <= timedelta(seconds=90)


@given(st.text(max_size=20))
def test_nothing_that_a_service_says_is_a_crash(text: str) -> None:
    for name in ("x-ms-retry-after-ms", "retry-after-ms", "retry-after"):
        told = retry_after({name: text})
        assert told is None or told >= timedelta(0)


def test_a_deadline_leaves_nothing_longer_than_itself() -> None:
    patience = Patience.within(timedelta(seconds=2))
    assert max(patience.connect, patience.answer, patience.busy) == timedelta(seconds=2)
