"""Exit codes are a contract: numbers, meanings, and which one stands for many targets."""

import itertools
import re

import pytest

from dbops import errors
from dbops.errors import DbopsError, ExitCode, Stopped, worst

# The order of the design, which names 130 and 143 together.
GRAVEST_FIRST = [130, 143, 4, 1, 9, 12, 10, 75, 6, 5, 11, 3, 0]


@pytest.mark.parametrize(("grave", "mild"), list(itertools.combinations(GRAVEST_FIRST, 2)))
def test_of_two_targets_the_graver_code_wins_whatever_their_order(grave: int, mild: int) -> None:
    assert worst([ExitCode(mild), ExitCode(grave)]) == grave
    assert worst([ExitCode(grave), ExitCode(mild)]) == grave


def test_no_target_at_all_is_done() -> None:
    assert worst([]) is ExitCode.OK


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_every_code_has_a_meaning_and_a_rank(code: ExitCode) -> None:
    assert re.fullmatch(r"[^\n]{4,}", code.meaning)
    assert worst([code]) is code


def test_the_numbers_are_those_that_scripts_rely_on() -> None:
    assert sorted(ExitCode) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 75, 130, 143]


def test_every_error_class_has_its_own_code() -> None:
    own = [
        e.code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, DbopsError) and e is not Stopped
    ]
    assert len(own) == len(set(own))


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_is_told_as_shells_tell_it(number: int, code: int) -> None:
    assert Stopped(number).exit_code == code
