"""The phases of the life on a copy, by the very verbs of the real one. Only the gates at its end are gone through."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from dbops.engine import clock, stop
from dbops.engine.finding import Severity
from dbops.engine.plan import Ready
from dbops.engine.run import Progress, Run
from dbops.errors import CouldNotVerify, VerifiedBad
from dbops.operations.migrate import open_changes, ready
from dbops.operations.migrate.backfill import ready as backfilling
from dbops.operations.migrate.backfill.facts import Firing, Wanted
from dbops.operations.migrate.compare import ready as comparing
from dbops.operations.migrate.contract import check as gates
from dbops.operations.migrate.contract import looking, write
from dbops.operations.migrate.contract import ready as contracting
from dbops.operations.migrate.contract.facts import Backups
from dbops.operations.migrate.open_changes import Change, Known
from dbops.operations.migrate.rehearse.copy import Copy
from dbops.operations.migrate.rehearse.plan import PhaseName
from dbops.operations.migrate.switch import ready as switching
from dbops.operations.migrate.switch.facts import ALL, REVERSE, Override

_WHY = "a rehearsal, on a copy"


def _silent(_progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True)
class How:
    """What may be chosen of a rehearsal."""

    firing: Firing | None = None
    jobs: int = 1
    clients: int = 4
    on_progress: Callable[[Progress], None] = _silent


@dataclass(slots=True)
class Walk:
    """The life of one change on one copy."""

    copy: Copy
    target: str
    change: str
    run: Run
    how: How
    revisions: dict[str, float] = field(default_factory=dict[str, float])  # milliseconds, of the phase under way

    def own_run(self) -> Run:
        return replace(self.run, state_dir=self.copy.path.parent / "state", plan_only=False)


def prepare(walk: Walk) -> None:
    """Run what is left before the change begins: it is none of its phases."""
    found = open_changes.one(_known(walk), walk.change)
    if not found.expanded and found.expand is not None and (before := _before(_known(walk), found.expand.id)):
        _up(walk, before)


def through(walk: Walk, phase: PhaseName) -> Mapping[str, float]:
    """Go through one phase; return the milliseconds of each revision in it."""
    walk.revisions = {}
    where = (walk.copy.config, walk.copy.path, walk.target, walk.own_run(), clock.now())
    named: dict[str, Any] = {"change": walk.change}
    match phase:
        case "expand":
            expand = _change(walk).expand
            assert expand is not None  # noqa: S101  # it was planned by it
            _up(walk, expand.id)
        case "backfill":
            wanted = Wanted(walk.how.firing, walk.how.jobs)
            _do(walk, backfilling.backfill(*where, **named, wanted=wanted, on_progress=walk.how.on_progress))
        case "verify":
            _do(walk, comparing.verify(*where, **named, how=comparing.How(on_progress=walk.how.on_progress)))
        case "switch":
            overrides = (Override(REVERSE, _WHY),)
            _do(walk, switching.switch(*where, **named, percent=ALL, overrides=overrides))
        case "contract":
            _contract(walk, where, named)
        case _:
            assert_never(phase)
    return walk.revisions


def _contract(walk: Walk, where: tuple[Any, ...], named: dict[str, Any]) -> None:
    more = {"backups": Backups(problem=_WHY), "override": looking.Override(tuple(gates.JUDGES), _WHY)}
    if _change(walk).contract is None:
        _do(walk, write.write(*where, **named, **more))
    contract = _change(walk).contract
    assert contract is not None  # noqa: S101  # it was written just now
    if before := _before(_known(walk), contract.id):
        _up(walk, before)
        walk.revisions = {}  # they are none of the change's
    _do(walk, contracting.contract(*where, **named, **more))


def _up(walk: Walk, to: str) -> None:
    _do(walk, ready.up(walk.copy.config, walk.copy.path, walk.target, walk.own_run(), clock.now(), to=to))


def _do(walk: Walk, opening: AbstractContextManager[Ready[Any]]) -> None:
    """Carry out what a verb plans; what it finds to be bad ends the rehearsal as a failure would."""
    with opening as one:
        for step in one.plan.steps:
            stop.check()
            one.guard()
            walk.how.on_progress(Progress(walk.target, step.summary, 0, 1))
            began = clock.monotonic()
            one.apply(step)
            walk.revisions[step.id] = 1000 * (clock.monotonic() - began)
    for found in (*one.findings, *one.met):
        match found.severity:
            case Severity.BAD | Severity.ERROR:
                raise VerifiedBad(found.message, hint=found.hint, target=walk.target)
            case Severity.UNKNOWN if found.code in _COMPARED:
                raise CouldNotVerify(found.message, hint=found.hint, target=walk.target)
            case _:
                pass


_COMPARED = frozenset({"DBM402", "DBM403"})  # that other things are unknown says nothing of a copy


def _known(walk: Walk) -> Known:
    return open_changes.observe(walk.copy.config, walk.copy.path, walk.target, walk.own_run())


def _change(walk: Walk) -> Change:
    return open_changes.one(_known(walk), walk.change)


def _before(known: Known, revision: str) -> str | None:
    """Name the revision before another one, where it is still to run."""
    left = [one.id for one in known.history.after(known.stamp)]
    place = left.index(revision) if revision in left else 0
    return left[place - 1] if place else None
