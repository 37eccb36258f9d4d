"""Work that is begun early is told like work that is done when it is asked for."""

import threading

import pytest

from dbops.errors import Unreachable
from dbops.operations.clusters.ahead import Ahead


def test_the_answer_is_what_the_work_returned_however_often_it_is_asked_for() -> None:
    ahead = Ahead(lambda: 7, "seven")
    assert (ahead.answer(), ahead.answer()) == (7, 7)


def test_what_the_work_has_failed_with_is_raised_to_whoever_asks() -> None:
    def work() -> int:
        raise Unreachable("it is away", target="main")

    with pytest.raises(Unreachable, match="it is away"):
        Ahead(work, "failing").answer()


def test_it_goes_on_while_nobody_waits_for_it() -> None:
    going, begun = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert going.wait(60)
        return "done"

    ahead = Ahead(work, "waiting")
    assert begun.wait(60)
    going.set()
    assert ahead.answer() == "done"
