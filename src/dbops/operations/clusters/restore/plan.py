"""Plan a scratch copy: what other runs left is removed, then files, server, truth, proof, and its end; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dbops import units
from dbops.engine.plan import Plan, Step
from dbops.errors import Refused
from dbops.operations.clusters.restore.facts import Aim, Facts, Left, Wanted

_SPARE = 64 << 20  # a server needs some room of its own


@dataclass(frozen=True, slots=True)
class RemoveScratch:
    """Stop and remove a scratch copy that nobody needs any more."""

    name: str


@dataclass(frozen=True, slots=True)
class Move:
    """Bring the files back."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start it, and wait for the truth."""


@dataclass(frozen=True, slots=True)
class Examine:
    """Look at all that came back."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave it running."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Stop it and remove it."""


Action = RemoveScratch | Move | Start | Examine | Keep | Remove


def plan(facts: Facts, wanted: Wanted, now: datetime) -> Plan[Action]:
    """Plan one restore beside the cluster; the cluster itself is not touched."""
    aim, goal = facts.goal.aim, facts.goal
    title = f"restore {facts.goal.wanted} into a scratch folder"
    steps: list[Step[Action]] = list(cleaning(facts.left, now))
    notes = (
        f"{units.size(goal.size)} into {facts.folder}, {units.size(facts.free)} are free",
        f"{units.counted(goal.segments, 'WAL segment')} to read",
        *goal.notes,
    )
    steps.append(Step("restore", f"restore set {aim.label} of repository {aim.repository}", Move(), notes=notes))
    steps.append(Step("start", f"start it without TCP or archiving, and wait for {_told(aim)}", Start()))
    if wanted.verify:
        steps.append(Step("verify", "count every row, check every index, compare roles and row security", Examine()))
    if wanted.ttl is not None:
        steps.append(Step("keep", f"leave it running for {units.duration(wanted.ttl)}", Keep()))
    elif wanted.keep:
        steps.append(Step("keep", "leave it running until 'dbops pitr clean --all'", Keep()))
    else:
        steps.append(Step("remove", "stop it and remove it", Remove()))
    return Plan(facts.target, title, tuple(steps))


def clean(target: str, left: Sequence[Left], now: datetime, *, all_kept: bool) -> Plan[Action]:
    """Plan the removal of scratch copies alone."""
    return Plan(target, "remove scratch copies", tuple(cleaning(left, now, all_kept=all_kept)))


def cleaning(left: Sequence[Left], now: datetime, *, all_kept: bool = False) -> list[Step[Action]]:
    """Remove what expired, and what a run that is dead has left; never what is not marked as ours."""
    return [
        Step(f"clean {one.name}", f"remove the scratch copy in {one.folder}: {why}", RemoveScratch(one.name))
        for one in left
        if one.ours and (why := _needless(one, now, all_kept=all_kept))
    ]


def _needless(one: Left, now: datetime, *, all_kept: bool) -> str | None:
    if one.alive:
        return None
    if not one.kept:
        return f"run {one.run} is dead"
    if one.until is not None and one.until <= now:
        return f"kept until {units.instant(one.until)}"
    return "asked for" if all_kept else None


def refuse(facts: Facts) -> None:
    """Refuse before a byte moves: a folder that is in use, a disk that is too small."""
    if facts.occupied:
        raise Refused(
            f"{facts.folder} is not empty",
            hint="name a new or an empty folder: --to FOLDER",
            target=facts.target,
        )
    needed = facts.goal.size + _SPARE
    if facts.free < needed:
        raise Refused(
            f"{units.size(needed)} are needed for {facts.folder}, and {units.size(facts.free)} are free",
            hint="name a folder on a larger disk: --to FOLDER",
            target=facts.target,
        )


def _told(aim: Aim) -> str:
    match aim.kind:
        case "default":
            return "the end of the archive"
        case "immediate":
            return "the end of the backup"
        case _:
            return f"{aim.kind} {aim.target}"
