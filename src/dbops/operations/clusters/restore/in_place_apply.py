"""Carry out one step of an in-place restore. Whatever interrupts it, nothing of the old cluster is removed."""

import os
import signal
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import assert_never

from dbops import process
from dbops.config.model import Cluster, Config
from dbops.engine import clock
from dbops.engine.finding import Finding
from dbops.engine.plan import Statement, Step
from dbops.engine.run import Run
from dbops.errors import DbopsError, Refused, Unreachable, VerifiedBad
from dbops.operations.clusters import durations
from dbops.operations.clusters.restore import (
    in_place_check,
    in_place_earlier,
    in_place_files,
    in_place_notes,
    moving,
    waiting,
)
from dbops.operations.clusters.restore.facts import Truth
from dbops.operations.clusters.restore.in_place_facts import (
    Action,
    Aside,
    BackUp,
    Finish,
    InPlace,
    KeepWal,
    Note,
    Push,
    Restore,
    Start,
    Stop,
    WriteNote,
)
from dbops.operations.clusters.restore.in_place_live import end_restores, server_in
from dbops.operations.clusters.restore.in_place_observe import control
from dbops.operations.clusters.restore.in_place_observe import waiting as to_be_archived
from dbops.operations.clusters.restore.in_place_plan import way_back
from dbops.operations.clusters.take import orphans
from dbops.servers import alive
from dbops.stores import pgbackrest, postgres
from dbops.stores.pgbackrest.program import secrets

_STOPS_WITHIN_S = 300.0
_TARGETS = tuple(
    f"recovery_target{kind}" for kind in ("", "_time", "_lsn", "_xid", "_name", "_inclusive", "_action", "_timeline")
)
_OWN = (
    *("--no-link-all", "--reset-link-map", "--reset-tablespace-map", "--reset-tablespace-map-all"),
    *("--reset-pg1-host", "--reset-db-include", "--reset-db-exclude", "--reset-recovery-option"),
)


@dataclass(slots=True)
class Told:
    """What an in-place restore came to, for whoever asked for it."""

    done: list[InPlace] = field(default_factory=list[InPlace])
    findings: list[Finding] = field(default_factory=list[Finding])


@dataclass(slots=True)
class Doing:
    """One in-place restore on its way."""

    config: Config
    run: Run
    note: Note
    told: Told
    began: float = field(default_factory=clock.monotonic)
    restored_s: float = 0.0

    @property
    def place(self) -> Cluster:
        return self.config.cluster[self.note.target]

    @property
    def data(self) -> Path:
        return Path(self.note.data)

    def amend(self, note: Note) -> None:
        """Note how far it came."""
        self.note = note
        in_place_notes.write(self.run.state_dir, note)


def apply(doing: Doing, step: Step[Action]) -> None:
    """Do what one step says; a failure tells both ways, on and back."""
    try:
        try:
            _do(doing, step.action)
        except OSError as error:  # a full disk, a folder that is closed
            told = f"{step.summary}: {error.strerror}: {error.filename or doing.note.data}"
            raise DbopsError(told, target=doing.note.target) from error
    except DbopsError as error:
        if isinstance(step.action, WriteNote | Stop | Push | Finish):
            raise
        lines = back(doing)
        ways = f"run the same command again: it goes on from here{'; or go back: ' if lines else ''}"
        error.hint = "; ".join(filter(None, (error.hint, ways + " && ".join(lines))))
        raise


def _do(doing: Doing, action: Action) -> None:
    match action:
        case WriteNote():
            doing.amend(doing.note)
        case Stop(pid):
            _stop(doing, pid)
        case Push():
            _push(doing)
        case KeepWal():
            in_place_files.keep_wal(doing.note)
        case Aside(moved):
            in_place_files.rename(Path(moved.path), Path(moved.aside), doing.note.target)
        case Restore():
            _restore(doing)
        case Start():
            _start(doing)
        case BackUp():
            _back_up(doing)
        case Finish():
            _finish(doing)
        case _:
            assert_never(action)


def _stop(doing: Doing, pid: int) -> None:
    """Stop it as `pg_ctl -m fast` does: it archives and tells its standbys all that it has. It is never killed."""
    if server_in(doing.data) == pid:
        os.kill(pid, signal.SIGINT)
        if not alive.await_end([pid], _STOPS_WITHIN_S):
            raise Unreachable(
                f"the server (pid {pid}) did not stop within {_STOPS_WITHIN_S:g} s; nothing was moved",
                hint="its log tells why; an archive_command that hangs is the usual cause",
                target=doing.note.target,
            )


def _push(doing: Doing) -> None:
    """Archive what waits. A segment that cannot be archived ends it here, where nothing was moved yet."""
    for mark in sorted(to_be_archived(doing.data)):
        name = mark.name.removesuffix(".ready")
        options = ("--no-archive-async", f"--pg1-path={doing.data}", str(doing.data / "pg_wal" / name))
        try:
            pgbackrest.run(doing.place, "archive-push", *options, target=doing.note.target, connects=False, timeout=300)
        except DbopsError as error:
            lines = " ".join(doing.note.argv)
            raise type(error)(
                f"{name} of pg_wal cannot be archived: {error.message}",
                hint=f"the server is stopped, nothing was moved; mend the archive and run again, or start it: {lines}",
                target=doing.note.target,
            ) from error
        mark.replace(mark.with_suffix(".done"))


def _restore(doing: Doing) -> None:
    doing.began = clock.monotonic()
    note = doing.note
    end_restores(doing.data)
    if server_in(doing.data) is not None:
        raise Refused(f"a server runs in {note.data}", hint="stop it first", target=note.target)
    if not note.delta:
        doing.amend(
            replace(note, made=in_place_files.make_room(note, pgbackrest.run_as(doing.place, target=note.target)))
        )
    more = (*_OWN, "--delta" if note.delta else "--no-delta")
    moving.move(doing.place, note.aim, doing.data, target=note.target, tablespaces=None, more=more)
    in_place_files.put_links_back(note)
    if note.aim.kind == "default":
        _bring_the_tail(doing)
    doing.restored_s = clock.monotonic() - doing.began
    doing.amend(replace(doing.note, stage="restored"))


def _bring_the_tail(doing: Doing) -> None:
    """A server that crashed could not archive its last segment: recovery reads it from pg_wal itself."""
    note = doing.note
    old = Path(note.moved[0].aside)
    state = control(old, doing.place, note.target).get("Database cluster state", "shut down") if not note.delta else ""
    if state and not state.startswith("shut down"):
        in_place_files.bring_the_tail(note)


def _start(doing: Doing) -> None:
    note, log = doing.note, Path(doing.note.log)
    since = log.stat().st_size if log.exists() else 0
    pid = server_in(doing.data)
    if pid is None:
        log.parent.mkdir(parents=True, exist_ok=True)
        (doing.data / "postmaster.pid").unlink(missing_ok=True)  # of a server that is dead, as we have just seen
        user = pgbackrest.run_as(doing.place, target=note.target)
        env = secrets(doing.place, target=note.target)
        pid = process.start(note.argv, log=log, cwd=doing.data, user=user, env=env).pid
    dsn = postgres.dsn(doing.place, target=note.target, dbname="postgres")
    truth = waiting.until_true(pid, partial(waiting.connected, dsn), log, target=note.target, promote=True, since=since)
    if truth.timeline <= note.timeline:
        raise VerifiedBad(
            f"the cluster is on timeline {truth.timeline}, and was on {note.timeline} before: it did not go back",
            target=note.target,
        )
    _forget_the_target(doing)
    took = clock.monotonic() - doing.began
    if doing.restored_s:
        durations.note(
            doing.run.state_dir,
            durations.Took(
                note.target,
                clock.now().isoformat(),
                note.aim.label,
                note.size,
                note.segments,
                round(doing.restored_s, 3),
                round(took, 3),
                round(took, 3),
                in_place=True,
            ),
        )
    doing.told.done.append(_told(doing, truth))
    doing.amend(replace(note, stage="promoted"))


def _forget_the_target(doing: Doing) -> None:
    """Take the target out of postgresql.auto.conf: a standby made of this cluster later would stop there."""
    with postgres.connect(doing.place, doing.run, target=doing.note.target) as connection:
        for name in _TARGETS:
            postgres.execute(connection, Statement("ALTER SYSTEM RESET {}", ((name,),)))


def _back_up(doing: Doing) -> None:
    note = doing.note
    options = (
        *(f"--repo={note.aim.repository}", "--type=full", "--no-expire-auto"),
        *(f"--annotation=run={doing.run.id}", "--annotation=reason=after a restore in place"),
    )
    try:
        pgbackrest.run(doing.place, "backup", *options, target=note.target, env={orphans.MARK: orphans.own_pid()})
    except DbopsError as error:
        told = f"the cluster is back and takes writes, but has no backup yet: {error.message}"
        raise type(error)(told, hint=error.hint, target=note.target) from error
    doing.amend(replace(note, stage="backed up"))


def _finish(doing: Doing) -> None:
    if not doing.told.done:  # an earlier run has seen it promoted
        doing.told.done.append(_told(doing, None))
    doing.told.findings += in_place_check.check(doing.note, doing.told.done[-1].aside)
    doing.told.findings += in_place_earlier.find(
        doing.run.state_dir, doing.note, account=_account(doing), under_way=False
    )
    in_place_notes.finish(doing.run.state_dir, doing.note)


def back(doing: Doing) -> tuple[str, ...]:
    note = doing.note
    aside = frozenset(moved.path for moved in note.moved if Path(moved.aside).exists())
    return way_back(note, account=_account(doing), running=server_in(doing.data) is not None, aside=aside)


def earlier(doing: Doing, *, noted: bool) -> tuple[Finding, ...]:
    """Tell the ways back to what was there before restores that were finished earlier."""
    own = back(doing) if noted else ()
    found = in_place_earlier.find(doing.run.state_dir, doing.note, account=_account(doing), under_way=noted, own=own)
    return tuple(found)


def _account(doing: Doing) -> str | None:
    user = pgbackrest.run_as(doing.place, target=doing.note.target)
    return user if user != process.current_user() else None


def _told(doing: Doing, truth: Truth | None) -> InPlace:
    note = doing.note
    aside = tuple(moved.aside for moved in note.moved if Path(moved.aside).exists())
    wal = next((moved.aside for moved in note.moved if moved.what == "wal"), f"{note.moved[0].aside}/pg_wal")
    kept = note.wal_kept if note.delta else wal
    return InPlace(
        target=note.target,
        label=note.aim.label,
        repository=note.aim.repository,
        wanted=note.wanted,
        data=note.data,
        aside=aside,
        wal=kept if Path(kept).exists() else None,
        timeline=truth.timeline if truth else None,
        lsn=truth.lsn if truth else None,
        last_commit=truth.last_commit.isoformat() if truth and truth.last_commit else None,
        stopped_at=truth.stopped_at if truth else None,
        writable=_since(note.since),
        standbys=note.standbys,
        slots=note.slots,
        way_back=back(doing),
    )


def _since(instant: str) -> timedelta:
    return clock.now() - datetime.fromisoformat(instant)
