"""What pgBackRest says that it would remove, held against the plan: its own lines, of 2.45."""

from dbops.operations.clusters.expire.facts import ExpireSet, ExpireWal, Wal
from dbops.operations.clusters.expire.said import differences, read

_SET = """\
P00   INFO: [DRY-RUN] expire command begin 2.45: --dry-run --repo=1 --set=20261121-041011F --stanza=main
P00   INFO: [DRY-RUN] repo1: expire adhoc backup set 20261121-041011F, 20261121-041011F_20261121-041015D
P00   INFO: [DRY-RUN] repo1: remove expired backup 20261121-041011F_20261121-041015D
P00   INFO: [DRY-RUN] repo1: remove expired backup 20261121-041011F
P00   INFO: [DRY-RUN] expire command end: completed successfully"""
_WAL = """\
P00 DETAIL: [DRY-RUN] repo1: 15-1 archive retention on backup 20261121-041028F, start = 000000010000000000000004
P00   INFO: [DRY-RUN] repo1: 15-1 remove archive, start = 000000010000000000000001, stop = 000000010000000000000003"""
_FULL, _DIFF = "20261121-041011F", "20261121-041011F_20261121-041015D"
_HELD = (Wal("15-1", tuple(f"{1:08X}{0:08X}{n:08X}" for n in range(1, 9))),)
_EXPIRE_WAL = ExpireWal(1, 1, (("15-1", "000000010000000000000004"),))


def told(text: str, action: ExpireSet | ExpireWal, *, listed: tuple[str, ...] = (_FULL, _DIFF)) -> list[str]:
    return differences(read(text, action.repository), action, listed=listed, held=_HELD)


def test_a_set_that_would_take_another_one_along_is_a_difference() -> None:
    assert told(_SET, ExpireSet(1, _FULL)) == [f"it would also remove the set {_DIFF}"]
    assert told(_SET, ExpireSet(1, _FULL), listed=(_FULL,)) == []  # no list knows the other: a leftover


def test_a_set_that_it_would_leave_is_a_difference() -> None:
    assert told("", ExpireSet(1, _DIFF)) == [f"it would not remove the set {_DIFF}"]


def test_wal_that_goes_as_planned_is_none() -> None:
    assert told(_WAL, _EXPIRE_WAL) == []


def test_wal_beside_a_set_is_a_difference() -> None:
    [found] = told(f"{_WAL}\n" + _SET.replace(f", {_DIFF}", ""), ExpireSet(1, _FULL), listed=(_FULL,))
    assert "also remove WAL of 15-1: 000000010000000000000001 ... 000000010000000000000003 (3 segments)" in found


def test_one_segment_more_or_less_is_a_difference() -> None:
    [more] = told(_WAL.replace("stop = 000000010000000000000003", "stop = 000000010000000000000004"), _EXPIRE_WAL)
    assert "also remove WAL of 15-1: 000000010000000000000004" in more
    [less] = told(_WAL.replace("stop = 000000010000000000000003", "stop = 000000010000000000000002"), _EXPIRE_WAL)
    assert "not remove WAL of 15-1: 000000010000000000000003" in less


def test_sixteen_digits_stand_for_all_segments_that_begin_so() -> None:
    whole = _WAL.replace(
        "start = 000000010000000000000001, stop = 000000010000000000000003",
        "start = 0000000100000000, stop = 0000000100000000",
    )
    [found] = told(whole, _EXPIRE_WAL)
    assert "(5 segments)" in found


def test_the_whole_archive_of_an_earlier_incarnation_may_go() -> None:
    text = "P00   INFO: repo1: remove archive path /repo/archive/main/15-1"
    assert told(text, ExpireWal(1, 1, (), ("15-1",))) == []
    assert "also remove WAL" in told(text, ExpireWal(1, 1, ()))[0]


def test_another_repository_and_unknown_words_are_differences() -> None:
    for line in ("P00   INFO: repo2: remove expired backup 20261121-041011F", "P00   INFO: repo1: something new"):
        assert told(f"{_WAL}\n{line}", _EXPIRE_WAL) == [f"it says: {line}"]


def test_wal_of_an_archive_that_was_not_there_is_a_difference() -> None:
    assert "14-1, which was not there" in told(_WAL.replace("15-1", "14-1"), ExpireWal(1, 1, ()))[0]
