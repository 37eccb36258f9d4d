"""What holds a backfill, what a failed batch means, and what is planned."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.copies.bounds import Key, Range, Table
from dbops.errors import UsageError
from dbops.operations.migrate.backfill import check
from dbops.operations.migrate.backfill.check import Failure, failure
from dbops.operations.migrate.backfill.facts import LIMITS, By, Facts, Firing, Part, Signal, Trigger, Wanted
from dbops.operations.migrate.backfill.plan import plan
from dbops.operations.migrate.life import Life, State
from dbops.operations.migrate.shapes.shape import Filling

TABLE = Table(1, "public.t", Key((("id", "integer"),)), 1000, 10, (1,))
FACTS = Facts("shop", "t-b", Life(State.EXPANDED), Filling("t", "UPDATE t ...", "t"), TABLE, "abc")
PART = Part(1, 0, Range(), 1000, 1000, 900, 500, finished=True)
AUDIT = Trigger("audit", "public.t", "audit()")


@given(st.sampled_from(sorted(LIMITS)), st.none() | st.floats(0, 1e12), st.none() | st.floats(0, 1e12))
def test_a_signal_holds_only_above_its_limit(name: str, value: float | None, limit: float | None) -> None:
    told = check.holding([Signal(name, value, limit)])
    over = value is not None and limit is not None and value > limit and name != "waiters"
    assert bool(told) is over
    assert all(name in one for one in told)


def test_signals_are_told_with_name_value_and_limit() -> None:
    signals = [Signal("replica-lag", 14.2, 10), Signal("slot-wal", 2**31, 2**30), Signal("dead-rows", 0.7, 0.6)]
    assert check.holding(signals) == (
        "replica-lag 14.2 s > 10.0 s",
        "slot-wal 2.0 GB > 1.0 GB",
        "dead-rows 70 % > 60 %",
    )
    assert check.told(Signal("wal-archive", None, 64)) == "wal-archive not observed of 64"
    assert check.slowing([Signal("waiters", 1, 0)])


def test_limits_are_read_in_the_units_of_their_signals() -> None:
    given_ = check.limits(["replica-lag=5s", "slot-wal=1GB", "wal-rate=50MB/s", "dead-rows=40%", "autovacuum=0"])
    assert (given_["replica-lag"], given_["dead-rows"], given_["autovacuum"]) == (5.0, 0.4, 0.0)
    assert check.limits(["wal-archive=off"])["wal-archive"] is None
    for wrong in ("replica-lag", "lag=5s", "replica-lag=much", "throttle-sql=1", "slot-wal=-1"):
        with pytest.raises(UsageError):
            check.limits([wrong])


@pytest.mark.parametrize(
    ("sqlstate", "meaning"),
    [
        ("23514", Failure.ROW),
        ("22P02", Failure.ROW),
        ("P0001", Failure.ROW),
        ("40P01", Failure.BUSY),
        ("55P03", Failure.BUSY),
        ("57014", Failure.BUSY),
        ("42703", Failure.FATAL),
        ("53100", Failure.FATAL),
        ("57P01", Failure.FATAL),
        (None, Failure.FATAL),
    ],
)
def test_a_failed_batch_is_about_a_row_or_the_others_or_the_end(sqlstate: str | None, meaning: Failure) -> None:
    assert failure(sqlstate) is meaning


def test_triggers_have_to_be_chosen_for() -> None:
    facts = replace(FACTS, triggers=(AUDIT,))
    refused = check.refusal(facts, Wanted())
    assert refused is not None
    assert "audit on public.t calls audit()" in refused.message
    assert check.refusal(facts, Wanted(Firing.FIRE)) is None
    assert check.refusal(facts, Wanted(Firing.SUPPRESS)) is not None
    assert check.refusal(replace(facts, suppressing=By.OWNER), Wanted(Firing.SUPPRESS)) is None


@pytest.mark.parametrize("state", [State.BACKFILLED, State.VERIFIED, State.SWITCHED])
def test_what_is_done_is_not_planned_again(state: State) -> None:
    done = replace(FACTS, life=Life(state), parts=(PART,))
    assert plan(done, Wanted()).steps == ()
    assert [step.id for step in plan(done, Wanted(again=True)).steps] == ["fill"]
    assert plan(replace(done, life=Life(state, elsewhere=True)), Wanted()).steps != ()


def test_nothing_is_filled_while_readers_use_the_new() -> None:
    switched = replace(FACTS, life=Life(State.SWITCHED))
    for facts, wanted in ((switched, Wanted()), (replace(switched, parts=(PART,)), Wanted(again=True))):
        refused = check.refusal(facts, wanted)
        assert refused is not None
        assert "use the new already" in refused.message
    assert check.refusal(replace(switched, parts=(PART,)), Wanted()) is None  # nothing is left to fill
    assert check.refusal(replace(switched, life=Life(State.SWITCHED, elsewhere=True)), Wanted()) is None


def anew(facts: Facts) -> bool:
    (step,) = plan(facts, Wanted()).steps
    return step.action.anew  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


def test_a_run_goes_on_where_there_is_something_to_go_on_with() -> None:
    part = replace(PART, finished=False)
    assert not anew(replace(FACTS, life=Life(State.BACKFILLING), parts=(part,)))
    assert not anew(replace(FACTS, life=Life(State.FAILED), parts=(part,)))
    assert not anew(replace(FACTS, life=Life(State.FAILED), parts=(PART,), set_aside=1))
    assert not anew(replace(FACTS, life=Life(State.BACKFILLING), parts=(PART,)))  # killed before its last word
    assert anew(replace(FACTS, life=Life(State.FAILED), parts=(PART,)))  # done, and found wanting
    assert anew(replace(FACTS, life=Life(State.EXPANDED), parts=(PART,)))  # of an expansion that was undone
    assert anew(FACTS)


def test_a_plan_that_reads_the_walked_table_is_told_from_one_that_reads_another() -> None:
    scan = {"Node Type": "Seq Scan", "Alias": "r"}
    assert check.reads_all({"Node Type": "ModifyTable", "Plans": [scan]})
    assert check.reads_all({"Node Type": "Append", "Plans": [{**scan, "Alias": "r_2"}]})
    assert not check.reads_all({"Node Type": "Hash Join", "Plans": [{**scan, "Alias": "rates"}]})
    assert not check.reads_all({"Node Type": "Index Scan", "Alias": "r"})


def test_the_preview_tells_what_a_backfill_gives_way_to() -> None:
    (step,) = plan(FACTS, Wanted(throttle_sql="SELECT 0")).steps
    (note,) = [note for note in step.notes if note.startswith("gives way")]
    assert "replica-lag > 10.0 s" in note
    assert "slot-wal > 8.0 GB" in note
    assert "autovacuum >" not in note.replace("wraparound-vacuum", "")
    assert note.endswith("and to your own query")
