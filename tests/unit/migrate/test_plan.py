"""The plan of a migration: what is left of a history, and when nothing may be done."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk, Statement
from dbops.operations.migrate import check, plan
from dbops.operations.migrate.facts import BASE, Database, History, Invalid, Revision
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.dropped import Dropped
from dbops.operations.migrate.shapes.enums import EnumValue
from dbops.operations.migrate.shapes.guarded import partition_name
from dbops.operations.migrate.shapes.index import Index
from dbops.operations.migrate.shapes.shape import Shape

LEDGER = (Statement("CREATE SCHEMA dbops"),)


def revision(number: int) -> Revision:
    table = f"t{number}"
    text = (f"CREATE TABLE {table} (id int)", f"CREATE INDEX ix{number} ON {table} (id)")
    return Revision(f"r{number}", f"step {number}", text, frozenset({f"table {table}", f"index ix{number}"}))


@st.composite
def histories(draw: st.DrawFn) -> History:
    count = draw(st.integers(0, 6))
    return History(
        "orders",
        "/migrations",
        tuple(map(revision, range(count))),
        draw(st.frozensets(st.sampled_from(["app", "reader"]))) if count else frozenset(),
        draw(st.frozensets(st.sampled_from(["pgcrypto", "pg_stat_statements"]))) if count else frozenset(),
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[History, Database]:
    """A database that its history has brought somewhere."""
    history = draw(histories())
    done = history.revisions[: draw(st.integers(0, len(history.revisions)))]
    left = draw(st.frozensets(st.sampled_from([f"ix{n}" for n in range(len(done), 8)])))
    return history, Database(
        invalid=tuple(Invalid("public", name, "t") for name in sorted(left)),
        stamps=(done[-1].id,) if done else (),
        objects=frozenset(name for one in done for name in one.makes) | {f"index {name}" for name in left},
        filled=draw(st.frozensets(st.sampled_from(["t0", "t1"]))),
        extensions=history.extensions if done else draw(st.frozensets(st.sampled_from(["pgcrypto"]))),
        untrusted=frozenset({"pg_stat_statements"}),
        roles=history.roles if done else frozenset(),
        may_create_roles=draw(st.booleans()),
        ledger=1 if done else None,
    )


def after(history: History, database: Database, action: plan.Action) -> Database:
    known = {one.id: one for one in history.revisions}
    match action:
        case plan.CreateExtension(name):
            return replace(database, extensions=database.extensions | {name})
        case plan.CreateRole(name):
            return replace(database, roles=database.roles | {name})
        case plan.InstallLedger():
            return replace(database, ledger=1)
        case plan.DropInvalid(name):
            kept = tuple(one for one in database.invalid if f"public.{one.name}" != name)
            gone = {f"index {name.removeprefix('public.')}"}
            return replace(database, invalid=kept, objects=database.objects - gone)
        case plan.Upgrade(name):
            assert not known[name].makes & database.objects
            return replace(database, stamps=(name,), objects=database.objects | known[name].makes)
        case plan.Downgrade(name, to):
            stamps = () if to == BASE else (to,)
            return replace(database, stamps=stamps, objects=database.objects - known[name].makes)


def up(history: History, database: Database, to: str | None = None) -> list[plan.Action]:
    ledger = () if database.ledger else LEDGER
    return [step.action for step in plan.up(history, database, ledger, to).steps]


def carried_out(history: History, database: Database, actions: list[plan.Action]) -> Database:
    for action in actions:
        database = after(history, database, action)
    return database


@given(worlds())
def test_a_finished_up_leaves_nothing_to_do(world: tuple[History, Database]) -> None:
    history, database = world
    done = carried_out(history, database, up(history, database))
    assert up(history, done) == []
    assert done.stamp == history.head
    assert list(check.refusals(history, done, going_up=True)) == []


@given(worlds(), st.integers(0, 12))
def test_every_prefix_of_an_up_can_be_continued(world: tuple[History, Database], cut: int) -> None:
    history, database = world
    actions = up(history, database)
    found = carried_out(history, database, actions[:cut])
    assert up(history, found) == actions[cut:]
    assert list(check.refusals(history, found, going_up=True)) == []


@given(worlds(), st.data())
def test_down_takes_back_what_up_has_done_and_no_more(world: tuple[History, Database], data: st.DataObject) -> None:
    history, database = world
    full = carried_out(history, database, up(history, database))
    to = data.draw(st.sampled_from([BASE, *history.ids]))
    steps = plan.down(history, full, to, {}).steps
    found = carried_out(history, full, [step.action for step in steps])
    assert (found.stamp or BASE) == to
    strange = {f"index {one.name}" for one in found.invalid}
    assert found.objects - strange == frozenset(name for one in history.until(found.stamp) for name in one.makes)
    assert all(step.risk is Risk.BLOCKS for step in steps)


@given(worlds())
def test_to_stops_where_it_was_told(world: tuple[History, Database]) -> None:
    history, database = world
    for to in history.ids:
        revisions = [one.revision for one in up(history, database, to) if isinstance(one, plan.Upgrade)]
        assert revisions == [one.id for one in history.until(to) if one not in history.until(database.stamp)]


def test_a_revision_that_locks_a_table_with_rows_asks_first() -> None:
    adding = Revision("r1", "a column", ("ALTER TABLE t0 ADD COLUMN a int",))
    history = History("orders", "/migrations", (revision(0), adding))
    database = Database(stamps=("r0",), objects=revision(0).makes, ledger=1)
    assert plan.up(history, database, ()).risk is Risk.SAFE
    filled = replace(database, filled=frozenset({"t0"}))
    (step,) = plan.up(history, filled, ()).steps
    assert (step.risk, step.notes) == (Risk.BLOCKS, ("takes locks on tables that hold rows: t0",))


def refused(history: History, database: Database, *, going_up: bool = True) -> list[str]:
    return [message for message, _ in check.refusals(history, database, going_up=going_up)]


def test_what_was_stamped_but_not_done_is_named() -> None:
    history = History("orders", "/migrations", (revision(0), revision(1)))
    told = refused(history, Database(stamps=("r1",), objects=revision(0).makes))
    assert told == ["the database is stamped r1, but lacks index ix1, table t1"]


def test_what_is_there_before_its_revision_is_named() -> None:
    history = History("orders", "/migrations", (revision(0), revision(1)))
    told = refused(history, Database(stamps=("r0",), objects=revision(0).makes | {"table t1"}))
    assert told == ["table t1 exists already, and the database is stamped r0: a revision to come makes it"]
    assert refused(history, Database(objects=frozenset({"table other"}))) == []


def test_a_stamp_that_the_folder_does_not_know_is_refused() -> None:
    history = History("orders", "/migrations", (revision(0),))
    assert refused(history, Database(stamps=("r9",))) == ["the database is stamped r9, which /migrations does not have"]
    assert "2 stamps" in refused(history, Database(stamps=("r0", "r9")))[0]


def test_an_object_that_a_later_revision_drops_is_not_missed() -> None:
    dropping = Revision("r1", "drop", ("DROP INDEX ix0",), takes=frozenset({"index ix0"}))
    history = History("orders", "/migrations", (revision(0), dropping))
    assert refused(history, Database(stamps=("r1",), objects=frozenset({"table t0"}))) == []


def leftover(name: str, *, builder: int | None = None) -> Database:
    return Database(objects=frozenset({f"index {name}"}), invalid=(Invalid("public", name, "t", builder=builder),))


def test_an_invalid_index_is_dropped_right_before_the_revision_that_makes_it() -> None:
    history = History("orders", "/migrations", (revision(0), revision(1)))
    dropped = plan.DropInvalid("public.ix1")
    assert up(history, replace(leftover("ix1"), ledger=1)) == [plan.Upgrade("r0"), dropped, plan.Upgrade("r1")]
    assert dropped not in up(history, replace(leftover("other"), ledger=1))
    assert dropped not in up(history, replace(leftover("ix1"), ledger=1), to="r0")


def test_an_index_that_somebody_builds_is_neither_dropped_nor_waited_for() -> None:
    history = History("orders", "/migrations", (revision(0),))
    building = leftover("ix0", builder=77)
    assert not any(isinstance(action, plan.DropInvalid) for action in up(history, building))
    assert "is being built by backend 77" in refused(history, building)[0]


def test_what_a_revision_may_meet_is_no_stranger() -> None:
    meeting = replace(revision(0), ensures=frozenset({"index ix0"}))
    history = History("orders", "/migrations", (meeting,))
    assert refused(history, Database(objects=frozenset({"index ix0"}))) == []
    assert refused(history, Database(objects=frozenset({"table t0"}))) != []


def test_what_drops_for_good_loses_data_unless_no_table_holds_a_row() -> None:
    shape = Dropped("public.users", ("fax",))
    for phase, filled, risk in (
        ("remove", {"users"}, Risk.LOSES_DATA),
        ("remove", set[str](), Risk.SAFE),
        ("contract", {"users"}, Risk.SAFE),
    ):
        one = Revision("r0", "x", (), change="c", phase=phase, shape=shape)
        planned = plan.up(History("orders", "/m", (one,)), Database(ledger=3, filled=frozenset(filled)), ())
        assert planned.risk is risk, phase


def test_the_parts_of_an_index_on_partitions_belong_to_its_revision() -> None:
    for shape in (
        Index('app."Big"', "ix", "(a)", partitioned=True),
        Constraint('app."Big"', "ix", "UNIQUE (a)", partitioned=True),
    ):
        one = Revision("r0", "parts", (), shape=shape)
        part = Invalid("app", partition_name("ix", "p1"), "app.p1", partition_of="app.Big")
        assert plan.is_of(one, part)
        assert not plan.is_of(one, replace(part, partition_of="app.Other"))
        assert not plan.is_of(one, replace(part, name="mine"))
        assert plan.is_of(one, replace(part, name=partition_name("ix", "p.1"), table="app.p.1"))
    assert not plan.is_of(replace(one, shape=Index('app."Big"', "ix", "(a)")), part)
    odd = Revision("r0", "parts", (), shape=Index('public."The ""big"" %s"', "ix", "(a)", partitioned=True))
    assert plan.is_of(odd, Invalid("public", "ix_p1", "p1", partition_of='The "big" %s'))


@pytest.mark.parametrize(
    ("phase", "shape", "said"),
    [
        ("expand", Index("t", "ix", "(a)"), None),
        ("expand", EnumValue("mood", "calm"), "not reversible"),
        ("contract", Index("t", "ix", "(a)"), "not reversible"),
        ("contract", Dropped("public.users", ("fax",)), "out of the way"),
        ("remove", Dropped("public.users", ("fax",)), "not reversible"),
    ],
)
def test_what_cannot_be_taken_back_is_told(phase: str, shape: Shape, said: str | None) -> None:
    one = Revision("r0", "x", (), change="c", phase=phase, shape=shape)
    (step,) = plan.up(History("orders", "/m", (one,)), Database(ledger=3), ()).steps
    assert len(step.notes) == (said is not None)
    assert all(said in note for note in step.notes if said)
