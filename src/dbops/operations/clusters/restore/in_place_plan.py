"""What brings a cluster back in its own place, from wherever an earlier run was interrupted; pure."""

import shlex
from collections.abc import Iterator

from dbops import units
from dbops.engine.plan import Plan, Risk, Step
from dbops.errors import Refused
from dbops.operations.clusters.restore.in_place_facts import (
    Action,
    Aside,
    BackUp,
    Facts,
    Finish,
    KeepWal,
    Note,
    Push,
    Restore,
    Start,
    Stop,
    WriteNote,
)

_GO_ON = "stop it yourself, and run this again; it goes on from there"


def refuse(facts: Facts) -> None:
    """Refuse before anything is touched."""
    note = facts.note
    if note.stage != "noted" or facts.aside:
        return  # it is half done: to go on is the only way that ends well
    if facts.running is not None and facts.unit is not None:
        raise Refused(
            f"systemd keeps the server as {facts.unit}, and would take its end for a failure",
            hint=f"{_GO_ON}: systemctl stop {facts.unit}",
            target=note.target,
        )
    if note.delta:
        return
    if facts.mounted:
        raise Refused(
            f"{facts.mounted[0]} is a mount point and cannot be renamed",
            hint="--delta restores over it, which gives the way back up",
            target=note.target,
        )
    if facts.closed:
        raise Refused(
            f"{facts.closed[0]} cannot be renamed: the folder above it cannot be written",
            hint="run it as root",
            target=note.target,
        )
    for space in facts.spaces:
        if space.free < space.needed:
            raise Refused(
                f"{units.size(space.needed)} are needed beside {space.path}, and {units.size(space.free)} are free",
                hint="make room; or --delta restores over what is there, which gives the way back up",
                target=note.target,
            )


def plan(facts: Facts) -> Plan[Action]:
    note = facts.note
    how = ", over what is there" if note.delta else ""
    return Plan(note.target, f"restore {note.wanted} in place{how}", tuple(_steps(facts)))


def _steps(facts: Facts) -> Iterator[Step[Action]]:
    note = facts.note
    if not facts.noted:
        yield Step("note", "note how the server is started, and who follows it", WriteNote(), notes=tuple(_lost(note)))
    if note.stage == "noted":
        yield from _making_room(facts)
        yield Step(
            "restore",
            f"restore set {note.aim.label} of repository {note.aim.repository} into {note.data}",
            Restore(),
            Risk.LOSES_DATA,
            notes=(f"{units.size(note.size)}, {units.counted(note.segments, 'WAL segment')} to read", *facts.notes),
        )
    if note.stage in ("noted", "restored"):
        yield Step("start", f"start it, and wait until it takes writes at {_goal(note)}", Start())
    if note.stage in ("noted", "restored", "promoted"):
        yield Step("backup", "take a full backup of what it is now", BackUp())
    yield Step("finish", "tell the way back" if not note.delta else "tell where the old WAL is", Finish())


def _making_room(facts: Facts) -> Iterator[Step[Action]]:
    note = facts.note
    if facts.running is not None:
        pid = f"pid {facts.running}"
        yield Step("stop", "stop the server: every session ends", Stop(facts.running), Risk.BLOCKS, notes=(pid,))
    if not facts.aside and (facts.running is not None or facts.ready):
        waits = (f"waiting: {units.counted(len(facts.ready), 'segment')}",) if facts.ready else ()
        yield Step("push", "archive what is left in pg_wal: the last committed rows are there", Push(), notes=waits)
    if note.delta:
        if not facts.wal_is_kept and note.data not in facts.missing:
            yield Step("keep wal", "copy pg_wal beside the data directory", KeepWal(), notes=(note.wal_kept,))
        return
    for moved in note.moved:
        if moved.path not in facts.aside and moved.path not in facts.missing:
            # The data directory comes first: without it nobody can start half a cluster.
            told = f"rename {moved.path} aside"
            yield Step(f"aside {moved.path}", told, Aside(moved), Risk.LOSES_DATA, notes=(f"to {moved.aside}",))


def _goal(note: Note) -> str:
    return f"{note.aim.kind} {note.aim.target}" if note.aim.target else "the end of what was restored"


def _lost(note: Note) -> Iterator[str]:
    yield "rows committed after that moment are no longer in the cluster"
    if note.delta:
        yield "the files of now are written over: there is no way back"
    for one in note.standbys:
        yield f"standby {one.name} at {one.address or 'a local socket'} ({one.state}) has to be rebuilt"
    for slot in note.slots:
        yield f"{slot.kind} slot {slot.name} does not survive"


def way_back(note: Note, *, account: str | None, running: bool, aside: frozenset[str]) -> tuple[str, ...]:
    """Tell the command lines that undo it: what was restored steps aside, what was there comes back."""
    if note.delta or not aside:
        return ()
    who = [] if account is None else ["runuser", "-u", account, "--"]
    program, *words = note.argv
    pg_ctl = [*who, f"{program.rpartition('/')[0]}/pg_ctl", "-D", note.data]
    lines = [shlex.join([*pg_ctl, "-m", "fast", "-w", "stop"])] if running else []
    for moved in note.moved:
        if moved.path in aside:
            lines.append(f"[ ! -e {_q(moved.path)} ] || mv -T {_q(moved.path)} {_q(_restored(moved.path, note.run))}")
            lines.append(f"mv -T {_q(moved.aside)} {_q(moved.path)}")
    options = ["-o", shlex.join(own)] if (own := _options(words)) else []
    lines.append(shlex.join([*pg_ctl, *options, "-l", note.log, "-w", "start"]))
    return tuple(lines)


def _restored(path: str, run: str) -> str:
    return f"{path}.restored-{run}"


def _q(path: str) -> str:
    return shlex.quote(path)


def _options(words: list[str]) -> list[str]:
    """Return what the server was started with besides its data directory, which pg_ctl adds itself."""
    told = iter(words)
    return [word for word in told if word != "-D" or next(told, None) is None]
