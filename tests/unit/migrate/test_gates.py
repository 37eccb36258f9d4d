"""The gates: yes, no, unknown; and that unknown is never a pass."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk, Step
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate.contract import check, plan
from dbops.operations.migrate.contract.facts import (
    Backups,
    Baseline,
    Before,
    Counted,
    Dependant,
    Facts,
    Gate,
    Passed,
    Proof,
    Sample,
    Statement,
)
from dbops.operations.migrate.contract.uses import Old
from dbops.operations.migrate.life import Place, State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HERE = Place(1, 2, 1)
OLD = Old(("public", "users"), frozenset({"name"}), {"name": frozenset({("public", "teams")})})
RESET = NOW - 30 * DAY
APP, DBOPS = 10, 16384
PATTERN = "shop 1.*"

CLEAN = Proof(NOW - DAY, {"clean": True, "complete": True, "triggers": "t", "ways": [{"rows": 5}, {"rows": 5}]})


def counted(*statements: Statement, **other: Any) -> Counted:
    return replace(Counted("primary", None, None, RESET, 0, statements), **other)


def baseline(calls: dict[tuple[int, int], int] | None = None, **other: Any) -> Baseline:
    return replace(Baseline(NOW - 8 * DAY, {"primary": Before("primary", RESET, 0, calls or {})}), **other)


def since(calls: dict[tuple[int, int], int], *now: Statement) -> dict[str, Any]:
    return {"baseline": baseline(calls), "counted": (counted(*now),)}


BOTH = ("primary", "replica 1")
OPEN = Facts(
    "shop",
    "users-full-name",
    NOW,
    HERE,
    State.SWITCHED,
    NOW - 8 * DAY,
    7 * DAY,
    "sha",
    OLD,
    compared=CLEAN,
    triggers="t",
    own_roles={DBOPS: "shop_owner"},
    baseline=baseline(),
    counted=(counted(),),
    patterns=(PATTERN,),
    samples=tuple(Sample(NOW - n * DAY, (PATTERN,), {PATTERN: 0}) for n in range(8, -1, -1)),
    backups=Backups(NOW - 2 * DAY),
    rehearsed=Proof(NOW - 9 * DAY, {"plan": "sha", "ok": True}),
)


def detail(**other: Any) -> Proof:
    return replace(CLEAN, detail={**CLEAN.detail, **other})


def test_all_are_open_where_everything_is_proven() -> None:
    assert {gate.name: gate.passed for gate in check.gates(OPEN)} == dict.fromkeys(check.JUDGES, Passed.YES)


USED = Statement(APP, 1, 3, "SELECT name FROM users")
HARMLESS = Statement(APP, 2, 9, "SELECT full_name FROM users")
_CASES: list[tuple[str, str, Passed, dict[str, Any]]] = [
    ("verified", "never compared", Passed.UNKNOWN, {"compared": None}),
    ("verified", "other triggers", Passed.UNKNOWN, {"triggers": "others"}),
    ("verified", "incomplete", Passed.UNKNOWN, {"compared": detail(complete=False, clean=False)}),
    ("verified", "compared in another way", Passed.UNKNOWN, {"works": frozenset({"another"})}),
    ("verified", "rows differ", Passed.NO, {"compared": detail(clean=False)}),
    ("verified", "nothing to compare with", Passed.YES, {"compares": False, "compared": None}),
    ("soak", "not switched", Passed.NO, {"switched": None, "state": State.VERIFIED}),
    ("soak", "too short", Passed.NO, {"switched": NOW - 6 * DAY}),
    ("soak", "just long enough", Passed.YES, {"switched": NOW - 7 * DAY}),
    ("dependants", "a view", Passed.NO, {"dependants": (Dependant("view people"),)}),
    ("dependants", "a function that might", Passed.UNKNOWN, {"dependants": (Dependant("f", certain=False),)}),
    ("dependants", "an index goes along", Passed.YES, {"dependants": (Dependant("index i", goes_along=True),)}),
    ("statements", "a new one that uses it", Passed.NO, {"counted": (counted(USED),)}),
    (
        "statements",
        "called before, and since",
        Passed.NO,
        since({(APP, 1): 2}, USED),
    ),
    (
        "statements",
        "called before only",
        Passed.YES,
        since({(APP, 1): 3}, USED),
    ),
    ("statements", "harmless ones", Passed.YES, {"counted": (counted(HARMLESS),)}),
    ("statements", "those of dbops", Passed.YES, {"counted": (counted(replace(USED, user=DBOPS)),)}),
    ("statements", "whole rows", Passed.UNKNOWN, {"counted": (counted(replace(USED, text="SELECT * FROM users")),)}),
    ("statements", "hidden text", Passed.UNKNOWN, {"counted": (counted(replace(USED, text=None)),)}),
    (
        "statements",
        "ambiguous",
        Passed.UNKNOWN,
        {"counted": (counted(replace(USED, text="SELECT name FROM users, teams")),)},
    ),
    ("statements", "no baseline", Passed.UNKNOWN, {"baseline": None}),
    ("statements", "baseline before the switch", Passed.UNKNOWN, {"baseline": baseline(taken=NOW - 9 * DAY)}),
    ("statements", "a baseline that was taken anew", Passed.NO, {"baseline": baseline(taken=NOW - 6 * DAY)}),
    (
        "statements",
        "an application that becomes dbops' own role",
        Passed.UNKNOWN,
        {"counted": (counted(Statement(APP, 3, 1, 'SET LOCAL ROLE "shop_owner"')),)},
    ),
    (
        "statements",
        "an application that becomes another role",
        Passed.YES,
        {"counted": (counted(Statement(APP, 3, 1, "SET ROLE shop_reader")),)},
    ),
    ("statements", "reset", Passed.UNKNOWN, {"counted": (counted(reset=NOW),)}),
    ("statements", "never reset, then reset", Passed.UNKNOWN, {"counted": (counted(reset=None),)}),
    ("statements", "deallocated", Passed.UNKNOWN, {"counted": (counted(dealloc=1),)}),
    (
        "statements",
        "one was reset",
        Passed.UNKNOWN,
        since({(APP, 2): 10}, HARMLESS),
    ),
    ("statements", "one was forgotten", Passed.UNKNOWN, {"baseline": baseline({(APP, 7): 1})}),
    ("statements", "a server that is not read", Passed.UNKNOWN, {"counted": (Counted("primary", "no extension"),)}),
    ("statements", "a replica without baseline", Passed.UNKNOWN, {"counted": (counted(), counted(server="replica 1"))}),
    ("statements", "no server", Passed.UNKNOWN, {"counted": ()}),
    (
        "statements",
        "a replica that is gone",
        Passed.UNKNOWN,
        {"baseline": baseline(servers={n: Before(n, RESET, 0, {}) for n in ("primary", "replica 1")})},
    ),
    (
        "statements",
        "the application is dbops' own role",
        Passed.UNKNOWN,
        {"samples": (*OPEN.samples, Sample(NOW, (PATTERN,), {}, ours=1))},
    ),
    ("clients", "nobody told names", Passed.UNKNOWN, {"patterns": None}),
    ("clients", "names tell nothing", Passed.YES, {"patterns": ()}),
    ("clients", "never looked", Passed.UNKNOWN, {"samples": ()}),
    ("clients", "looked once, just now", Passed.UNKNOWN, {"samples": OPEN.samples[-1:]}),
    ("clients", "a replica that nobody looked at", Passed.UNKNOWN, {"servers": BOTH}),
    (
        "clients",
        "a replica that could not be reached",
        Passed.UNKNOWN,
        {"samples": (*OPEN.samples, Sample(NOW, (PATTERN,), {PATTERN: 0}, missed={"replica 1": "it is down"}))},
    ),
    (
        "clients",
        "a replica that was looked at, too",
        Passed.YES,
        {"servers": BOTH, "samples": tuple(replace(one, servers=BOTH) for one in OPEN.samples)},
    ),
    (
        "clients",
        "a replica that was looked at just once",
        Passed.UNKNOWN,
        {"servers": BOTH, "samples": (*OPEN.samples[:-1], replace(OPEN.samples[-1], servers=BOTH))},
    ),
    ("clients", "looked for another pattern", Passed.UNKNOWN, {"patterns": ("crm*",)}),
    ("clients", "seen", Passed.NO, {"samples": (*OPEN.samples, Sample(NOW - DAY, (PATTERN,), {PATTERN: 1}))}),
    (
        "clients",
        "seen, and gone for a whole soak",
        Passed.YES,
        {
            "switched": NOW - 20 * DAY,
            "samples": (Sample(NOW - 9 * DAY, (PATTERN,), {PATTERN: 1}), *OPEN.samples),
        },
    ),
    ("backup", "older than the switch", Passed.NO, {"backups": Backups(NOW - 9 * DAY)}),
    ("backup", "none", Passed.NO, {"backups": Backups()}),
    ("backup", "WAL is not archived", Passed.NO, {"backups": Backups(NOW, archiving="it fails")}),
    ("backup", "not looked at", Passed.UNKNOWN, {"backups": Backups(problem="no stanza")}),
    ("rehearsal", "never", Passed.UNKNOWN, {"rehearsed": None}),
    ("rehearsal", "another plan", Passed.UNKNOWN, {"checksum": "another"}),
    ("rehearsal", "it failed", Passed.NO, {"rehearsed": Proof(NOW, {"plan": "sha", "ok": False})}),
]


@pytest.mark.parametrize(
    ("name", "case", "passed", "other"), _CASES, ids=[f"{name}: {case}" for name, case, *_ in _CASES]
)
def test_what_a_gate_makes_of_its_evidence(name: str, case: str, passed: Passed, other: dict[str, Any]) -> None:
    gate = check.JUDGES[name](replace(OPEN, **other))
    assert gate.passed is passed, gate.evidence
    assert gate.evidence
    assert passed is Passed.YES or gate.todo, "a closed gate says what opens it"


def test_each_gate_has_all_three_outcomes_among_the_cases() -> None:
    two = {"soak", "dependants"}  # these look at what is there: a soak is never unknown
    for name in check.JUDGES:
        told = {passed for gate, _, passed, _ in _CASES if gate == name} | {Passed.YES}
        assert told >= ({Passed.NO} if name in two else {Passed.NO, Passed.UNKNOWN}), name


@pytest.mark.parametrize("name", ["soak", "dependants", "statements", "clients", "backup"])
def test_where_nothing_goes_away_there_is_nothing_to_wait_for(name: str) -> None:
    assert check.JUDGES[name](replace(OPEN, old=None)).passed is Passed.YES


_GATE = st.builds(
    Gate,
    st.sampled_from(sorted(check.JUDGES)),
    st.sampled_from(list(Passed)),
    st.text(max_size=5),
    st.just(NOW),
    st.text(max_size=5),
)
_NAMES = st.lists(st.sampled_from(sorted(check.JUDGES)), max_size=3)


@given(_GATE, _NAMES)
def test_only_a_yes_or_a_word_for_this_very_gate_opens_it(gate: Gate, names: list[str]) -> None:
    [judged] = check.overridden([gate], names, "because")
    assert judged.open == (gate.passed is Passed.YES or gate.name in names)
    assert judged.passed is gate.passed, "what was found stays what was found"


_TEXTS = ("SELECT name FROM users", "SELECT * FROM users")
_STATEMENTS = st.lists(
    st.builds(
        Statement,
        st.sampled_from([APP, 11, DBOPS]),
        st.integers(1, 4),
        st.integers(1, 5),
        st.sampled_from(
            [None, "SELECT full_name FROM users", "SELECT name FROM users", "SELECT * FROM users", "SELECT 1"]
        ),
    ),
    unique_by=lambda one: (one.user, one.query),
    max_size=6,
)


@given(_STATEMENTS, _STATEMENTS, st.integers(0, 1), st.booleans())
def test_no_use_since_the_switch_ever_passes(
    before: list[Statement], now: list[Statement], dealloc: int, reset: bool
) -> None:
    calls = {(one.user, one.query): one.calls for one in before}
    facts = replace(
        OPEN,
        baseline=baseline(calls),
        counted=(counted(*now, dealloc=dealloc, reset=NOW if reset else RESET),),
    )
    gate = check.statements(facts)
    grown = [one for one in now if one.user != DBOPS and one.calls != calls.get((one.user, one.query), 0)]
    bad = any(one.text is None or one.text in _TEXTS for one in grown)
    if bad or dealloc or reset:
        assert gate.passed is not Passed.YES


@given(st.lists(st.integers(0, 14 * 24), max_size=12), st.integers(1, 14))
def test_a_soak_with_a_long_blind_spot_never_passes(hours: list[int], days: int) -> None:
    switched = NOW - 14 * DAY
    samples = tuple(Sample(switched + timedelta(hours=n), (PATTERN,), {PATTERN: 0}) for n in sorted(hours))
    facts = replace(OPEN, switched=switched, soak=days * DAY, samples=samples)
    begin = NOW - days * DAY
    times = [begin, *(one.at for one in samples if one.at > begin), NOW]
    blind = max(after - before for before, after in pairwise(times))
    passed = check.clients(facts).passed is Passed.YES
    assert passed == (bool(samples) and blind <= max(days * DAY / 4, timedelta(hours=1)))


def test_what_has_no_verified_copy_wants_the_name_of_its_target() -> None:

    left: list[Step[revisions.Action]] = [Step("r", "drop it", revisions.Upgrade("r"))]
    gates = check.gates(OPEN)
    assert plan.contract(OPEN, gates, left).risk is Risk.BLOCKS
    unverified = replace(OPEN, compared=None)
    assert plan.contract(unverified, check.gates(unverified), left).risk is Risk.LOSES_DATA
    alone = replace(OPEN, compares=False)
    assert plan.contract(alone, check.gates(alone), left).risk is Risk.LOSES_DATA
    assert plan.contract(replace(alone, kept=True), check.gates(alone), left).risk is Risk.BLOCKS
    assert plan.contract(replace(alone, old=None), check.gates(alone), left).risk is Risk.BLOCKS
    assert [step.id for step in plan.contract(OPEN, gates, left).steps] == ["restore point", "leave", "r"]
    assert plan.contract(OPEN, gates, []).steps == ()
