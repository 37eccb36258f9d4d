"""What a check says of materialized views, without any server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dbops.engine.finding import Severity, exit_code
from dbops.errors import ExitCode
from dbops.operations.views.check import check
from dbops.operations.views.facts import Compared, Facts, Outcome, Past, Setting, Signature, View

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD, NEW = Signature("s", "d", "old"), Signature("s", "d", "new")
GOOD = View(
    1,
    "public",
    "v",
    "o",
    key="k",
    signature=OLD,
    past=Past(NOW, Outcome.REFRESHED, read_at=NOW - timedelta(hours=2), signature=OLD, refreshes=1),
)
HOURLY = {"v": Setting(schedule=timedelta(minutes=30), staleness=timedelta(hours=1))}


def told(view: View, *compared: Compared) -> dict[str, Severity]:
    found = check(Facts("t", NOW, (view,)), HOURLY, compared)
    return {finding.code: finding.severity for finding in found}


def test_a_view_that_nothing_has_changed_under_is_as_good_as_new() -> None:
    assert told(GOOD) == {}


def test_each_fault_has_its_code() -> None:
    assert told(replace(GOOD, signature=NEW)) == {"DBW104": Severity.MISSED}
    assert told(replace(GOOD, past=Past())) == {"DBW108": Severity.UNKNOWN}
    assert told(replace(GOOD, populated=False)) == {"DBW103": Severity.BAD}
    assert told(replace(GOOD, bound=("the row security of t binds o",))) == {"DBW102": Severity.BAD}
    assert told(replace(GOOD, invalid=("i",))) == {"DBW106": Severity.WARNING}
    assert told(replace(GOOD, key=None)) == {"DBW107": Severity.WARNING}
    assert told(replace(GOOD, live=5_000, dead=10_001)) == {"DBW109": Severity.WARNING}
    assert told(replace(GOOD, live=20_000, dead=10_001)) == {}
    failed = replace(GOOD.past, outcome=Outcome.FAILED, error="why")
    assert told(replace(GOOD, past=failed)) == {"DBW105": Severity.WARNING}


def test_readers_that_wait_are_no_fault_where_that_was_declared() -> None:
    facts = Facts("t", NOW, (replace(GOOD, key=None),))
    assert check(facts, {"v": Setting(mode="plain")}) == []


def test_a_declared_view_that_is_not_there_is_bad() -> None:
    for name in ("v", "public.v"):
        assert check(Facts("t", NOW, (GOOD,)), {name: Setting()}) == []
    found = check(Facts("t", NOW, (GOOD,)), {"reports.v": Setting()})
    assert [finding.code for finding in found] == ["DBW101"]
    assert exit_code(found) is ExitCode.BAD


def test_content_that_differs_is_bad_only_where_age_does_not_explain_it() -> None:
    assert told(GOOD, Compared("public.v", 0, 0)) == {}
    assert told(GOOD, Compared("public.v", 1, 0)) == {"DBW111": Severity.BAD}
    assert told(GOOD, Compared("public.v", failed="no")) == {"DBW110": Severity.UNKNOWN}
    stale = replace(GOOD, signature=NEW, past=replace(GOOD.past, read_at=NOW))
    assert told(stale, Compared("public.v", 0, 1)) == {"DBW110": Severity.UNKNOWN}
