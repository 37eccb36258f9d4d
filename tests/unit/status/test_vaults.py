"""The vault and its second copies are looked at side by side, and nobody waits for one that hangs."""

import threading
from datetime import timedelta

import pytest

from dbops.across.status.vaults import side_by_side
from dbops.errors import Unreachable, VerifiedBad
from dbops.operations.vault.facts import Held


def test_a_place_that_hangs_is_told_and_the_others_are_seen() -> None:
    over = threading.Event()

    def hang() -> Held:
        over.wait(60)
        return Held("late")

    told = side_by_side({"vault": lambda: Held("vault"), "late": hang}, timedelta(milliseconds=100))
    over.set()
    assert told["vault"] == Held("vault")
    assert isinstance(told["late"], Unreachable)
    assert "no answer within 100 ms" in told["late"].message


def test_what_a_place_fails_with_is_told_beside_the_others() -> None:
    def fail() -> Held:
        raise VerifiedBad("no")

    told = side_by_side({"vault": lambda: Held("vault"), "bad": fail}, timedelta(seconds=60))
    assert told["vault"] == Held("vault")
    assert isinstance(told["bad"], VerifiedBad)


def test_a_bug_is_not_the_state_of_a_place() -> None:
    def fail() -> Held:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side({"vault": fail}, timedelta(seconds=60))
