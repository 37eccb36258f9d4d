"""Forecasts without a server: how scripts are cut, what phases promise, how long things take, what is told."""

import json

import pytest

from dbops.engine.finding import Severity
from dbops.operations.migrate.forecast import check, estimate, phases, script, told
from dbops.operations.migrate.forecast.codes import CODES
from dbops.operations.migrate.forecast.facts import Change, Lock, Seen, Size, Sizes, strength
from dbops.operations.migrate.forecast.text import head, short
from dbops.operations.migrate.lint import explain, squawk
from dbops.operations.migrate.lint.check import RULES
from dbops.operations.migrate.lint.check import check as judge
from dbops.operations.migrate.lint.facts import Agreed, Allowance, Facts, Script

SCRIPT = """BEGIN;

CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);

-- Running upgrade  -> 0100

CREATE TABLE a (id int);

INSERT INTO alembic_version (version_num) VALUES ('0100') RETURNING version_num;

COMMIT;

BEGIN;

-- Running upgrade 0100 -> 0200

CREATE INDEX one ON a (id);

COMMIT;

CREATE INDEX CONCURRENTLY two ON a (id);

BEGIN;

ALTER TABLE a ADD COLUMN b int;

UPDATE alembic_version SET version_num='0200' WHERE version_num = '0100';

COMMIT;
"""
AEL = Lock("orders", "ACCESS EXCLUSIVE", "r")
REWRITE = Seen(
    *("0200", 1, "ALTER TABLE orders ALTER x TYPE bigint", 1),
    locks=(AEL,),
    rewritten=("orders",),
    scanned=("orders",),
    changes=(Change("type changed", "orders", "x", told="integer to bigint"),),
)
DROP = Seen(
    "0200", 2, "ALTER TABLE orders DROP COLUMN y", 1, (AEL,), changes=(Change("column dropped", "orders", "y"),)
)


# ── Scripts ──────────────────────────────────────────────────────────────────────────────────────


def test_a_script_is_cut_into_revisions_and_their_transactions() -> None:
    cut = script.cut(SCRIPT)
    assert {name: [(one.number, one.transaction) for one in texts] for name, texts in cut.items()} == {
        "0100": [(1, 0)],
        "0200": [(1, 0), (2, None), (3, 1)],
    }
    assert cut["0200"][1].text == "CREATE INDEX CONCURRENTLY two ON a (id)"


def test_comments_before_a_statement_are_not_its_first_word() -> None:
    assert head("-- why\n/* and how */ update t set x = 1") == "UPDATE"
    assert head("") == ""
    assert short("SELECT\n  1") == "SELECT 1"
    assert len(short("x" * 200)) == 72


# ── Codes ────────────────────────────────────────────────────────────────────────────────────────


def test_codes_have_one_meaning_and_a_way_around() -> None:
    assert [one.code for one in CODES.values()] == sorted(CODES)
    assert all(one.says and one.recipe for one in CODES.values())
    assert len({one.says for one in CODES.values()}) == len(CODES)


@pytest.mark.parametrize("code", [*CODES, *(rule.code for rule in RULES), "DBM214"])
def test_each_code_can_be_explained(code: str) -> None:
    found = explain.code(code)
    assert found is not None
    assert found.code == code
    assert found.says
    assert found.recipe


def test_what_is_no_code_is_not_explained() -> None:
    assert explain.code("DBM100") is None


# ── How bad ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sizes", "severities"),
    [
        (Sizes(), [Severity.BAD, Severity.BAD]),
        (Sizes(known={"orders": Size(10_000_000, 10**9)}), [Severity.BAD, Severity.BAD]),
        (Sizes(known={"orders": Size(10, 8192)}), [Severity.INFO, Severity.BAD]),
        (Sizes(known={"orders": Size(0, 0)}), []),
        (Sizes(known={}), []),
        (Sizes(empty=frozenset({"0200"})), []),
        (Sizes(empty=frozenset({"0100"})), [Severity.BAD, Severity.BAD]),
    ],
)
def test_how_bad_it_is_depends_on_who_has_to_wait(sizes: Sizes, severities: list[Severity]) -> None:
    assert [one.severity for one in check.hazards([REWRITE, DROP], sizes)] == severities


def test_the_message_says_what_waits_and_how_long() -> None:
    [hazard] = check.hazards([REWRITE], Sizes(known={"orders": Size(1_000_000, 100_000_000, 2)}))
    assert hazard.message == (
        "0200 statement 1, ALTER TABLE orders ALTER x TYPE bigint: orders is rewritten, x from integer to bigint under"
        " ACCESS EXCLUSIVE, 1,000,000 rows, 1.7 to 8.8 s"
    )
    assert hazard.hint == CODES["DBM112"].recipe


def test_several_locks_on_one_table_are_one() -> None:
    again = Seen("0200", 2, "ALTER TABLE orders ADD COLUMN z int", 1, (Lock("orders", "ACCESS EXCLUSIVE", "r", True),))
    assert check.hazards([Seen("0200", 1, "x", 1, (AEL,)), again], Sizes()) == ()


def test_locks_of_two_transactions_are_not_held_together() -> None:
    other = Seen("0200", 2, "x", 2, (Lock("buyers", "ACCESS EXCLUSIVE", "r"),))
    assert check.hazards([Seen("0200", 1, "x", 1, (AEL,)), other], Sizes()) == ()
    together = Seen("0200", 2, "x", 1, (Lock("buyers", "ACCESS EXCLUSIVE", "r"),))
    [hazard] = check.hazards([Seen("0200", 1, "x", 1, (AEL,)), together], Sizes())
    assert (hazard.code, hazard.number) == ("DBM136", 2)
    assert "buyers, orders" in hazard.message


def test_modes_are_ordered_by_strength() -> None:
    assert strength("ACCESS SHARE") < strength("SHARE") < strength("ACCESS EXCLUSIVE")


# ── How long ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cost", ["brief", "scan", "build", "rewrite", "change"])
def test_more_rows_take_longer_and_the_range_is_one(cost: estimate.Cost) -> None:
    small, large = (estimate.seconds(cost, Size(rows, rows * 100, 3)) for rows in (1000, 1_000_000))
    assert small[0] <= small[1] < 0.1
    assert large[0] <= large[1]
    assert small[1] <= large[1]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.0, 0.05, "under 0.1 s"), (0.21, 0.24, "about 0.2 s"), (0.5, 2.25, "0.5 to 2.2 s"), (12.4, 99.0, "12 to 99 s")],
)
def test_a_duration_is_told_as_a_range(low: float, high: float, text: str) -> None:
    assert estimate.told(low, high) == text


# ── Phases ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "phase"),
    [('phase = "expand"', "expand"), ('phase: str = "contract"', "contract"), ("", None), ("phase = None", None)],
)
def test_the_phase_is_read_without_running_the_revision(source: str, phase: str | None) -> None:
    assert phases.attribute(f"raise SystemExit\n{source}\n", "phase") == phase


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("column dropped", "orders", "y"), "x"),
        (Change("dropped", "orders", about=frozenset({"r"})), "x"),
        (Change("column renamed", "orders", "y", told="z"), "x"),
        (Change("renamed", "orders", "sales", frozenset({"r"})), "x"),
        (Change("type changed", "orders", "y"), "x"),
        (None, "DELETE FROM orders"),
        (None, "TRUNCATE orders"),
        (None, "-- gone\nDROP TYPE mood"),
        (None, "DROP FUNCTION f()"),
        (None, "ALTER TYPE mood RENAME VALUE 'a' TO 'b'"),
        (None, "ALTER SCHEMA a RENAME TO b"),
    ],
)
def test_expand_destroys_nothing(change: Change | None, text: str) -> None:
    one = Seen("0200", 1, text, 1, changes=(change,) if change else ())
    assert [found.code for found in phases.hazards("0200", "expand", [one])] == ["DBM150"]
    assert list(phases.hazards("0200", None, [one])) == []


def test_expand_may_add_and_rename_what_only_it_knows() -> None:
    changes = (
        Change("column added", "orders", "y"),
        Change("renamed", "orders_x", "orders_y", frozenset({"i"})),
        Change("constraint added", "orders", "c"),
    )
    seen = [Seen("0200", 1, "x", 1, changes=changes), Seen("0200", 2, "DROP TRIGGER t ON orders", 1)]
    assert list(phases.hazards("0200", "expand", seen)) == []


def test_expand_may_make_views_and_functions_anew() -> None:
    view = Seen("0200", 1, "DROP VIEW sums", 1, changes=(Change("dropped", "sums", about=frozenset({"v"})),))
    function = Seen("0200", 2, "DROP FUNCTION IF EXISTS public.f(int)", 1)
    anew = [Seen("0200", 3, 'CREATE VIEW "sums" AS SELECT 1', 1), Seen("0200", 4, "CREATE OR REPLACE FUNCTION f()", 1)]
    assert list(phases.hazards("0200", "expand", [view, function, *anew])) == []
    found = [one.message for one in phases.hazards("0200", "expand", [*anew, view, function])]
    assert ["drops sums" in found[0], "drop function" in found[1]] == [True, True]


def test_another_version_of_the_server_is_told() -> None:
    assert list(check.versions("0200", 15, 15)) == []
    [one] = check.versions("0200", 15, 17)
    assert (one.code, one.severity) == ("DBM160", Severity.INFO)
    assert "by PostgreSQL 15, but the database is served by 17" in one.message


def test_a_brief_lock_is_told_once_for_a_transaction() -> None:
    changes = [Change("trigger added", "orders", name) for name in ("a", "b")]
    two = Seen("0200", 1, "x", 1, (AEL,), changes=tuple(changes))
    other = Seen("0200", 2, "x", 2, (AEL,), changes=(Change("trigger added", "orders", "c"),))
    assert [(one.code, one.number) for one in check.hazards([two, other], Sizes())] == [("DBM131", 1), ("DBM131", 2)]


def test_contract_asks_for_its_gate() -> None:
    assert [one.code for one in phases.hazards("0200", "contract", [DROP])] == ["DBM151"]
    gate = Seen("0200", 1, "SELECT dbops.require_gate('orders.total')", 1)
    assert list(phases.hazards("0200", "contract", [gate, DROP])) == []


def test_a_phase_that_there_is_not_is_told() -> None:
    [one] = phases.hazards("0200", "expnad", [])
    assert (one.code, one.number) == ("DBM152", 0)
    assert "'expnad'" in one.message


# ── What is allowed ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["0200", "orders"])
def test_a_hazard_is_allowed_by_its_revision_or_its_table(name: str) -> None:
    facts = Facts("shop", hazards=check.hazards([REWRITE], Sizes()))
    findings, silenced = judge(facts, Agreed((Allowance("DBM112", name, "Nobody is there at night."),)))
    assert (findings, [one.reason for one in silenced]) == ([], ["Nobody is there at night."])
    findings, silenced = judge(facts, Agreed((Allowance("DBM101", name, "Why not?"),)))
    assert ([one.code for one in findings], silenced) == (["DBM112", "DBM214"], [])


def test_a_baseline_that_is_no_revision_is_told() -> None:
    facts = Facts("shop", scripts=(Script("2026_11_20_0100", "2026_11_20_0100_a.py", ""),))
    assert judge(facts, Agreed(baseline="2026_11_20_0100"))[0] == []
    assert [one.code for one in judge(facts, Agreed(baseline="elsewhere"))[0]] == ["DBM214"]
    assert judge(facts, Agreed(baseline="elsewhere"), stale=False)[0] == []


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("with op.get_context().autocommit_block():\n        pass", 0),
        ("op.get_context().bind", 1),
        ("op.get_bind()", 1),
        ("op.get_bind().autocommit_block()", 1),
    ],
)
def test_leaving_the_transaction_asks_nothing_of_the_database(call: str, found: int) -> None:
    source = f"from alembic import op\n\n\ndef upgrade() -> None:\n    {call}\n"
    facts = Facts("shop", scripts=(Script("2026_11_20_0100", "2026_11_20_0100_a.py", source),))
    assert [one.code for one in judge(facts, Agreed())[0]] == ["DBM211"] * found


# ── Lines ────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_says_all_that_one_needs_to_know() -> None:
    sizes = Sizes(known={"orders": Size(1_000_000, 100_000_000, 2)})
    [line] = told.lines([REWRITE], check.hazards([REWRITE], sizes), sizes)
    assert told.text(line) == (
        "1. ALTER TABLE orders ALTER x TYPE bigint: ACCESS EXCLUSIVE on orders; stops reads and writes;"
        " rewrites orders; 1.7 to 8.8 s; each prepared SELECT * of orders fails once; not reversible [DBM112]"
    )


def test_nobody_guesses_how_long_it_takes_where_sizes_are_not_known() -> None:
    [line] = told.lines([REWRITE], (), Sizes())
    assert (line.at_least_s, line.at_most_s) == (None, None)
    assert " s;" not in told.text(line)
    [line] = told.lines([DROP], (), Sizes())
    assert "under 0.1 s" in told.text(line), "no row is read for it"


@pytest.mark.parametrize(
    ("mode", "blocks"),
    [
        ("ACCESS EXCLUSIVE", "reads and writes"),
        ("EXCLUSIVE", "writes"),
        ("SHARE", "writes"),
        ("SHARE UPDATE EXCLUSIVE", "nothing"),
        ("ROW EXCLUSIVE", "nothing"),
    ],
)
def test_a_lock_stops_whom_it_conflicts_with(mode: str, blocks: str) -> None:
    one = Seen("0200", 1, "x", 1, (Lock("orders", mode, "r"),))
    [line] = told.lines([one], (), Sizes())
    assert line.blocks == blocks
    [line] = told.lines([one], (), Sizes(known={}))
    assert line.blocks == "nothing", "nobody waits for an empty table"


# ── squawk ───────────────────────────────────────────────────────────────────────────────────────

REPORT = json.dumps(
    [
        {"line": 0, "rule_name": "changing-column-type", "level": "Warning"},
        {"line": 0, "rule_name": "prefer-bigint-over-int", "level": "Warning"},
        {"line": 2, "rule_name": "ban-drop-column", "level": "Warning"},
        {"line": 3, "rule_name": "ban-concurrent-index-creation-in-transaction", "level": "Warning"},
    ]
)


def test_the_second_opinion_is_mapped_to_our_codes_and_compared() -> None:
    free = Seen("0200", 1, "ALTER TABLE orders ALTER x TYPE text", 1)
    outside = Seen("0200", 3, "CREATE INDEX CONCURRENTLY i ON orders (x)", None)
    opinions = squawk.read(REPORT, [free, DROP, outside], [0, 1, 3], check.hazards([DROP], Sizes()))
    assert [(one.number, one.rule, one.agreed) for one in opinions] == [
        (1, "changing-column-type", False),
        (2, "ban-drop-column", True),
    ]
    assert opinions[0].codes == ("DBM112", "DBM113")


def test_each_rule_that_is_mapped_leads_to_a_code() -> None:
    assert all(set(codes) <= CODES.keys() for codes in squawk.mapped().values())
    assert len(squawk.mapped()) > 20
