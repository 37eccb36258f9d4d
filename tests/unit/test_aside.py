"""Work done aside: what comes of it, and that nobody waits for what hangs."""

import threading
from datetime import timedelta

import pytest

from dbops.engine.aside import Aside

_LONG = timedelta(seconds=60)


def test_what_is_done_and_what_failed_comes_with_its_name() -> None:
    aside = Aside[str, float]()
    aside.begin("half", lambda: 1 / 2)
    aside.begin("bug", lambda: 1 / 0)
    taken = [aside.take(_LONG), aside.take(_LONG)]
    assert ("half", 0.5) in taken
    [failed] = [one[1] for one in taken if one is not None and one[0] == "bug"]
    assert isinstance(failed, ZeroDivisionError)


@pytest.mark.parametrize("within", [timedelta(0), timedelta(seconds=-1), timedelta(milliseconds=20)])
def test_what_hangs_is_given_up_and_the_next_one_is_still_taken(within: timedelta) -> None:
    aside, over = Aside[int, bool](), threading.Event()
    aside.begin(1, lambda: over.wait(60))
    assert aside.take(within) is None
    over.set()
    assert aside.take(_LONG) == (1, True)


def test_a_thread_that_hangs_does_not_keep_the_program_from_ending() -> None:
    aside, over = Aside[str, bool](), threading.Event()
    aside.begin("hangs", lambda: over.wait(60))
    [thread] = [one for one in threading.enumerate() if one.name == "aside: hangs"]
    assert thread.daemon
    over.set()
    assert aside.take(_LONG) == ("hangs", True)
