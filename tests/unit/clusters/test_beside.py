"""Which files of a repository belong to a backup that is being taken just now."""

import pytest

from dbops.operations.clusters.prove.beside import being_taken, label_of, without
from dbops.operations.clusters.prove.facts import Fault, Wrong

FULL, INCR, NEW = "20261120-194802F", "20261120-194802F_20261121-010203I", "20261121-020304F"
LATER = f"{FULL}_20261121-030405D"


def of(label: str, name: str = "bundle/1") -> Fault:
    return Fault(f"backup/{label}/{name}", Wrong.EXTRA, "of a set that is not in the list")


def test_a_younger_set_is_being_taken_while_somebody_holds_the_lock() -> None:
    assert being_taken([of(NEW), of(NEW, "1.pgbackrest.tmp")], [FULL, INCR], [FULL, INCR], running=True) == NEW
    assert being_taken([of(NEW)], [], [], running=True) == NEW


def test_the_moment_of_the_last_part_tells_how_young_a_set_is() -> None:
    assert being_taken([of(LATER)], [FULL, INCR, NEW], [FULL, INCR, NEW], running=True) == LATER


@pytest.mark.parametrize(("label", "running"), [(NEW, False), ("20261101-000000F", True)])
def test_what_a_broken_off_backup_has_left_stays_a_stranger(label: str, running: bool) -> None:
    assert being_taken([of(label)], [FULL, INCR], [FULL, INCR], running=running) is None


def test_of_two_unknown_sets_the_younger_one_is_at_work() -> None:
    assert being_taken([of(NEW), of(LATER)], [FULL], [FULL], running=True) == LATER


def test_a_set_that_was_completed_since_is_no_stranger() -> None:
    assert being_taken([of(NEW)], [FULL], [FULL, NEW], running=False) == NEW


def test_only_its_own_files_are_taken_out() -> None:
    other = Fault("archive/15-1/nonsense", Wrong.EXTRA, "pgBackRest writes no such file")
    assert without([of(NEW), other, of(FULL)], NEW) == (other, of(FULL))
    assert label_of(other.path) is None
