"""What `pgbackrest expire` says that it removes, read back and held against the plan; pure."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dbops.operations.clusters.expire.facts import Action, ExpireSet, ExpireWal, Wal

_LINE = re.compile(r"P\d+\s+(?:INFO|DETAIL|WARN): (?:\[DRY-RUN\] )?repo(\d+): (.*)")
_SET = re.compile(r"(?:remove expired backup (\S+)|expire (?:full|diff|adhoc|time-based) backup(?: set)? (.+))")
_WAL = re.compile(r"(\S+) remove archive, start = ([0-9A-F]{16,24}), stop = ([0-9A-F]{16,24})")
_WHOLE = re.compile(r"remove archive path (?:.*/)?([^/\s]+)/?")
_HISTORY = re.compile(r"(\S+) remove history file (\S+)")
_CLEAR = re.compile(r"\S+ (?:no archive to remove|archive retention on backup .*)")


@dataclass(frozen=True, slots=True)
class Said:
    """Everything that one run of `expire` names."""

    sets: frozenset[str]
    wal: tuple[tuple[str, str, str], ...]  # archive, first, last
    whole: frozenset[str]
    others: tuple[str, ...]  # other repositories, and words that are not understood


def read(text: str, repository: int) -> Said:
    """Read its lines; whatever is not understood is kept, and is a reason not to go on."""
    sets: set[str] = set()
    wal: list[tuple[str, str, str]] = []
    whole: set[str] = set()
    others: list[str] = []
    for line in text.splitlines():
        found = _LINE.search(line)
        if found is None:
            continue
        told = found[2].strip()
        if int(found[1]) != repository:
            others.append(line.strip())
        elif match := _SET.fullmatch(told):
            sets.update(part.strip() for part in (match[1] or match[2]).split(","))
        elif match := _WAL.fullmatch(told):
            wal.append((match[1], match[2], match[3]))
        elif match := _WHOLE.fullmatch(told):
            whole.add(match[1])
        elif not _CLEAR.fullmatch(told) and not _HISTORY.fullmatch(told):
            others.append(line.strip())
    return Said(frozenset(sets), tuple(wal), frozenset(whole), tuple(others))


def differences(
    said: Said, action: Action, *, listed: Collection[str], held: Sequence[Wal], still: bool = True
) -> list[str]:
    """Tell where what it says is not what was planned; `listed` are the sets that `info` knows.

    What no list knows any more may go along with anything: an earlier run was killed while removing it.
    """
    wanted = {action.label} if isinstance(action, ExpireSet) else set[str]()
    more, less = (said.sets & set(listed)) - wanted, wanted - said.sets
    found = [f"it would also remove the set {label}" for label in sorted(more)]
    found += [f"it would not remove the set {label}" for label in sorted(less) if still]
    found += [f"it says: {each}" for each in said.others]
    return found + _wal_differences(said, action, held)


def _wal_differences(said: Said, action: Action, held: Sequence[Wal]) -> list[str]:
    below = dict(action.below) if isinstance(action, ExpireWal) else {}
    whole = set(action.whole) if isinstance(action, ExpireWal) else set[str]()
    found: list[str] = []
    for wal in held:
        ranges = [(first, last) for archive, first, last in said.wal if archive == wal.id]
        all_of_it = wal.id in said.whole
        goes = {name for name in wal.segments if all_of_it or any(_within(name, one) for one in ranges)}
        meant = {name for name in wal.segments if wal.id in whole or name < below.get(wal.id, "")}
        if more := sorted(goes - meant):
            found.append(f"it would also remove WAL of {wal.id}: {_listed(more)}")
        if less := sorted(meant - goes):
            found.append(f"it would not remove WAL of {wal.id}: {_listed(less)}")
    known = {wal.id for wal in held}
    strange = sorted({archive for archive, _, _ in said.wal if archive not in known} | (said.whole - known))
    return found + [f"it would remove WAL of {archive}, which was not there" for archive in strange]


def _within(name: str, bounds: tuple[str, str]) -> bool:
    first, last = bounds
    return first <= name[: len(first)] and name[: len(last)] <= last  # 16 digits stand for 256 or more segments


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]} ({len(names)} segments)"
