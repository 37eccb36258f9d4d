"""What brings a cluster back in its own place, from wherever an earlier run was interrupted."""

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk
from dbops.errors import Refused
from dbops.operations.clusters.restore.facts import Aim
from dbops.operations.clusters.restore.in_place_check import check
from dbops.operations.clusters.restore.in_place_facts import (
    Action,
    Aside,
    BackUp,
    Facts,
    Finish,
    KeepWal,
    Moved,
    Note,
    Push,
    Restore,
    Slot,
    Space,
    Standby,
    Start,
    Stop,
    WriteNote,
)
from dbops.operations.clusters.restore.in_place_plan import plan, refuse, way_back

_DATA = Moved("/pg/data", "/pg/data.before-R", "data", "")
_MORE = (
    Moved("/wal", "/wal.before-R", "wal", "pg_wal"),
    Moved("/ts/1", "/ts/1.before-R", "tablespace", "pg_tblspc/1"),
)


def note(*moved: Moved, delta: bool = False) -> Note:
    return Note(
        run="R",
        target="main",
        since="2026-11-21T00:00:00Z",
        wanted="then",
        aim=Aim("20261121-000000F", "time", "then"),
        size=1 << 30,
        segments=3,
        delta=delta,
        data="/pg/data",
        wal_kept="/pg/data.wal-before-R",
        moved=(_DATA, *moved),
        argv=("/usr/lib/bin/postgres", "-D", "/pg/data", "-c", "config_file=/etc/a b"),
        log="/pg/log",
        timeline=1,
    )


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    moved = draw(st.sets(st.sampled_from(_MORE)).map(tuple))
    running = draw(st.none() | st.just(42))
    return Facts(
        note(*moved, delta=draw(st.booleans())),
        noted=False,
        running=running,
        unit=None,
        ready=draw(st.just(()) | st.just(("000000010000000000000007",))),
        aside=frozenset(),
        missing=frozenset() if running else draw(st.sampled_from([frozenset[str](), frozenset({"/pg/data"})])),
    )


def after(facts: Facts, action: Action) -> Facts:
    """A model of the world."""
    match action:
        case WriteNote():
            return replace(facts, noted=True)
        case Stop():
            return replace(facts, running=None, ready=("000000010000000000000009",))
        case Push():
            return replace(facts, ready=())
        case KeepWal():
            return replace(facts, wal_is_kept=True)
        case Aside(moved):
            return replace(facts, aside=facts.aside | {moved.path})
        case Restore():
            return replace(facts, note=replace(facts.note, stage="restored"))
        case Start():
            return replace(facts, note=replace(facts.note, stage="promoted"), running=43)
        case BackUp():
            return replace(facts, note=replace(facts.note, stage="backed up"))
        case Finish():
            return facts


@given(worlds())
def test_every_prefix_of_a_plan_can_be_continued(facts: Facts) -> None:
    steps = plan(facts).steps
    here = facts
    for cut, step in enumerate(steps):
        left = [s.id for s in plan(here).steps]
        assert left == [s.id for s in steps[cut:]]
        here = after(here, step.action)
    # what is left is to close the note: without it the next run would begin a restore of its own
    assert [s.id for s in plan(here).steps] == ["finish"]


@given(worlds())
def test_nothing_moves_before_the_server_is_down_and_its_wal_is_safe(facts: Facts) -> None:
    ids = [step.id for step in plan(facts).steps]
    moving = next(n for n, one in enumerate(ids) if one.startswith(("aside", "restore")))
    for first in ("note", "stop", "push", "keep wal"):
        assert first not in ids or ids.index(first) < moving
    assert ("stop" in ids) == (facts.running is not None)


@given(worlds())
def test_it_needs_the_name_of_the_cluster(facts: Facts) -> None:
    assert plan(facts).risk is Risk.LOSES_DATA


@given(worlds())
def test_the_data_directory_goes_first_so_that_nobody_starts_half_a_cluster(facts: Facts) -> None:
    asides = [step.action.moved.path for step in plan(facts).steps if isinstance(step.action, Aside)]
    assert not asides or facts.missing or asides[0] == "/pg/data"


def standing(**more: object) -> Facts:
    facts = Facts(note(), noted=False, running=42, unit=None, ready=(), aside=frozenset(), missing=frozenset())
    return replace(facts, **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (standing(unit="postgresql@15-main.service"), "systemd keeps the server"),
        (standing(mounted=("/pg/data",)), "is a mount point"),
        (standing(closed=("/pg/data",)), "cannot be written"),
        (standing(spaces=(Space("/pg", 10, 11),)), "11 B are needed beside /pg, and 10 B are free"),
    ],
)
def test_what_cannot_end_well_is_refused_before_anything_is_touched(facts: Facts, told: str) -> None:
    with pytest.raises(Refused, match=told):
        refuse(facts)


def test_what_is_half_done_is_not_refused() -> None:
    refuse(standing(spaces=(Space("/pg", 10, 11),), aside=frozenset({"/pg/data"}), noted=True))


def test_with_delta_nothing_is_renamed_and_the_wal_is_copied() -> None:
    facts = replace(standing(mounted=("/pg/data",)), note=note(delta=True))
    refuse(facts)
    steps = plan(facts).steps
    assert [step.id for step in steps] == ["note", "stop", "push", "keep wal", "restore", "start", "backup", "finish"]
    assert "the files of now are written over: there is no way back" in steps[0].notes
    assert way_back(facts.note, account=None, running=True, aside=frozenset()) == ()


def test_the_way_back_undoes_only_what_was_done() -> None:
    pg_ctl = ("runuser", "-u", "postgres", "--", "/usr/lib/bin/pg_ctl")
    own = note(*_MORE)
    lines = way_back(own, account="postgres", running=False, aside=frozenset({"/pg/data"}))
    assert lines == (
        "[ ! -e /pg/data ] || mv -T /pg/data /pg/data.restored-R",
        "mv -T /pg/data.before-R /pg/data",
        shlex.join([*pg_ctl, "-D", "/pg/data", "-o", "-c 'config_file=/etc/a b'", "-l", "/pg/log", "-w", "start"]),
    )


def test_who_followed_the_cluster_is_told() -> None:
    own = replace(note(), standbys=(Standby("walreceiver", "10.0.0.2", "streaming"),), slots=(Slot("cdc", "logical"),))
    told = list(check(own, ("/pg/data.before-R",)))
    assert [one.code for one in told] == ["DBB681", "DBB682", "DBB683"]
    assert "walreceiver at 10.0.0.2" in told[0].message
    assert any("walreceiver" in one for one in plan(replace(standing(), note=own)).steps[0].notes)
