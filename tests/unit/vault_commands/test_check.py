"""What is told of artifacts and copies, with which severity."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbops.engine.finding import Finding, Severity, Verdict, exit_code, failure
from dbops.errors import ExitCode, Unreachable
from dbops.operations.vault.check import check_vault, not_copied, standing
from dbops.operations.vault.facts import VAULT, Checked, Held, Seen, State, Strangers

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)


def seen(name: str, state: State = State.COMPLETE, *, hours: float = 1, manifest: str = "m") -> Seen:
    at = NOW - timedelta(hours=hours)
    return Seen(name, "postgres", "audit", "dump", at, state, 2, 10, manifest, at)


def codes(found: list[Finding]) -> dict[str, Severity]:
    return {one.code: one.severity for one in found}


def test_a_vault_and_a_copy_that_hold_the_same_need_no_word() -> None:
    held = Held(VAULT, (seen("a"), seen("b", State.BUILDING)))
    assert check_vault(held, [Held("far", (seen("a"),))], NOW) == []


def test_a_broken_artifact_is_bad_and_its_copy_is_the_way_out() -> None:
    [found] = check_vault(Held(VAULT, (replace(seen("a", State.BROKEN), wrong="part-1 is missing"),)), [], NOW)
    assert (found.severity, found.code) == (Severity.BAD, "DBV101")
    assert "part-1 is missing" in found.message
    assert found.hint
    assert "second copy" in found.hint


def test_an_abandoned_artifact_is_a_warning_and_tells_for_how_long() -> None:
    [found] = check_vault(Held(VAULT, (seen("a", State.ABANDONED, hours=30),)), [], NOW)
    assert found.severity is Severity.WARNING
    assert "1d 6h" in found.message


def test_a_copy_that_lags_longer_than_it_may_misses_its_objective() -> None:
    vault = Held(VAULT, (seen("a", hours=9), seen("b", hours=3)))
    late = Held("far", (seen("b", hours=3),), max_age=timedelta(hours=6))
    [found] = check_vault(vault, [late], NOW)
    assert (found.severity, found.exit_code) == (Severity.MISSED, ExitCode.MISSED)
    assert found.hint == "dbops vault copy --to far"


def test_a_copy_that_lags_within_its_time_is_told_without_harm() -> None:
    vault = Held(VAULT, (seen("a", hours=3),))
    for max_age in (timedelta(hours=6), None):
        assert codes(check_vault(vault, [Held("far", max_age=max_age)], NOW)) == {"DBV107": Severity.INFO}


def test_two_contents_under_one_name_are_bad() -> None:
    found = check_vault(Held(VAULT, (seen("a"),)), [Held("far", (seen("a", manifest="other"),))], NOW)
    assert codes(found) == {"DBV103": Severity.BAD}


def test_a_copy_that_nobody_could_look_at_keeps_its_own_code() -> None:
    away = failure(Unreachable("does not answer"), "far")
    found = check_vault(Held(VAULT, (seen("a"),)), [Held("far", failed=away)], NOW)
    assert exit_code(found) is ExitCode.UNREACHABLE


def test_what_a_verification_found_bad_stays_bad_in_the_list() -> None:
    once = Checked(NOW, "stored", Verdict.BAD)
    found = check_vault(Held(VAULT, (replace(seen("a"), checked=once),)), [], NOW)
    assert codes(found) == {"DBV104": Severity.BAD}


def test_other_objects_and_artifacts_that_only_a_copy_has_are_told() -> None:
    vault = Held(VAULT, strangers=Strangers(2, "notes.txt"))
    assert codes(check_vault(vault, [Held("far", (seen("a"),))], NOW)) == {
        "DBV105": Severity.INFO,
        "DBV108": Severity.INFO,
    }


def test_a_copying_run_does_not_end_well_over_what_it_had_to_leave_out() -> None:
    vault = Held(VAULT, (seen("a", State.BROKEN), seen("b"), seen("c")))
    copy = Held("far", (seen("b", manifest="other"), seen("c", State.BROKEN)))
    found = not_copied(vault, copy)
    assert [one.severity for one in found] == [Severity.BAD] * 3


def result(verdict: Verdict, subset: str | None = None, depth: str = "stored") -> Checked:
    return Checked(NOW, depth, verdict, subset)


def test_an_artifact_stands_as_its_last_verification_found_it() -> None:
    last = result(Verdict.COULD_NOT_VERIFY)
    assert standing([last, result(Verdict.GOOD)]) is last
    assert standing([]) is None


def test_a_bad_slice_stays_bad_while_other_slices_are_good() -> None:
    bad = result(Verdict.BAD, "1/3")
    assert standing([result(Verdict.GOOD, "3/3"), result(Verdict.GOOD, "2/3"), bad]) is bad


@pytest.mark.parametrize("subset", ["1/3", None])
def test_a_bad_slice_is_overruled_by_the_same_slice_or_by_all(subset: str | None) -> None:
    good = result(Verdict.GOOD, subset)
    assert standing([good, result(Verdict.BAD, "1/3")]) is good


def test_a_look_that_was_less_close_overrules_nothing() -> None:
    bad = result(Verdict.BAD)
    assert standing([result(Verdict.GOOD, depth="listed"), bad]) is bad
    assert standing([result(Verdict.GOOD, depth="content"), bad]) != bad
