"""What a second copy lacks, and what a verification would read; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from dbops import units
from dbops.engine.plan import Plan, Step
from dbops.errors import CouldNotVerify, Refused
from dbops.operations.vault.facts import Action, CopyArtifact, CopyRemembered, Held, Seen, State

_NAMED = 3


def newest_first(seen: Iterable[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda one: (one.instant, one.name), reverse=True)


def lacking(vault: Held, copy: Held) -> list[Seen]:
    """List what is complete in the vault and not yet in the copy, newest first: it is worth most."""
    there = {one.name: one.state for one in copy.seen}
    to_come = {None, State.BUILDING, State.ABANDONED}
    return newest_first(one for one in vault.seen if one.state is State.COMPLETE and there.get(one.name) in to_come)


def plan_copy(vault: Held, copy: Held) -> Plan[Action]:
    """Plan what brings a copy up to the vault. What the copy has, whole or broken, is never written over."""
    begun = {one.name: one for one in copy.seen}
    steps = (*(_step(one, begun.get(one.name)) for one in lacking(vault, copy)), *_remembered(vault, copy))
    return Plan(copy.place, "bring the second copy up to the vault", steps)


def _remembered(vault: Held, copy: Held) -> Iterator[Step[Action]]:
    names = tuple(sorted(set(vault.remembered) - set(copy.remembered)))
    if names:
        summary = f"copy what verifications have found ({units.counted(len(names), 'result')})"
        step_id = f"copy-remembered-{sha256(' '.join(names).encode()).hexdigest()[:12]}"
        yield Step(step_id, summary, CopyRemembered(names))


def _step(one: Seen, begun: Seen | None) -> Step[Action]:
    there = 0 if begun is None else begun.files
    notes = (f"{units.counted(there, 'file')} there already: hashed, not sent again",) if there else ()
    summary = f"copy {one.name} ({units.counted(one.files, 'file')}, {units.size(one.size)})"
    # the manifest's hash belongs to the step: an agreed plan is a plan for this very content
    step_id = f"copy-{one.name}-{(one.manifest or '')[:12]}"
    return Step(step_id, summary, CopyArtifact(one.name, one.manifest or "", one.files, one.size), notes=notes)


def chosen(held: Held, seen: Sequence[Seen], name: str | None, *, newest: bool) -> list[Seen]:
    """Choose what to verify. Nothing to verify is not a pass."""
    if name is not None:
        try:
            return [the_one(held, seen, name)]
        except Refused as error:
            raise CouldNotVerify(error.message, hint=error.hint, target=error.target) from error
    wanted = newest_first(one for one in seen if one.state in {State.COMPLETE, State.BROKEN, State.UNKNOWN})
    if newest:
        wanted = list({(one.store, one.target, one.kind): one for one in reversed(wanted)}.values())[::-1]
    if not wanted:
        raise CouldNotVerify(
            "there is no artifact to verify", hint="dbops vault list shows what is there", target=held.place
        )
    return wanted


def the_one(held: Held, seen: Sequence[Seen], name: str) -> Seen:
    """Find one artifact by its name, or by a part of it that no other has."""
    named = [one for one in seen if one.name == name.strip("/")] or [one for one in seen if name in one.name]
    if len(named) == 1:
        return named[0]
    some = ", ".join(one.name for one in named[:_NAMED])
    told = f"{name!r} is a part of {len(named)} names: {some}" if named else f"there is no artifact {name!r}"
    hint = "type more of it: dbops vault list" if named else "dbops vault list shows what is there"
    raise Refused(told, hint=hint, target=held.place)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a verification would read of one artifact."""

    name: str
    files: int
    read_bytes: int


def readings(seen: Sequence[Seen], *, reads: bool, subset: tuple[int, int]) -> tuple[Reading, ...]:
    """Tell how much will be read: of a slice about its share, of a mere listing nothing."""
    slices = subset[1]
    return tuple(Reading(one.name, one.files, -(-one.size // slices) if reads else 0) for one in seen)
