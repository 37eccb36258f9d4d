"""Give each step its meaning. Whatever is interrupted is whole or not there, and the next run sees which."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import assert_never

from dbops import process
from dbops.config.load import resolve
from dbops.config.model import Cluster, Config
from dbops.engine import clock, stop
from dbops.engine.finding import Finding
from dbops.engine.plan import Step
from dbops.engine.run import Progress, Run
from dbops.errors import DbopsError, Refused, Unreachable
from dbops.operations.clusters.init.facts import Facts
from dbops.operations.clusters.init.observe import local_path
from dbops.operations.clusters.init.plan import (
    Action,
    Archive,
    Check,
    Configure,
    CreateStanza,
    FirstFull,
    Option,
    Restart,
    UpgradeStanza,
    WritePasses,
)
from dbops.operations.clusters.take import apply as taking
from dbops.operations.clusters.take import facts as of_take
from dbops.operations.clusters.take.observe import observe as look_to_take
from dbops.stores import pgbackrest, postgres
from dbops.stores.pgbackrest import configuration, halves
from dbops.stores.postgres import Connection

_RELOAD_S = 15.0
_RESTART_S = 120.0
_SAID = 1000
_CHECK_S = 180.0


@dataclass(slots=True)
class Doing:
    """What the steps of one run share."""

    config: Config
    run: Run
    facts: Facts
    connection: Connection
    toml: Path | None
    on_progress: Callable[[Progress], None]
    told: list[Finding] = field(default_factory=list[Finding])

    @property
    def target(self) -> str:
        return self.facts.target

    @property
    def place(self) -> Cluster:
        return self.config.cluster[self.target]


def apply(doing: Doing, step: Step[Action]) -> None:
    match step.action:
        case Configure(options, folders):
            for folder in folders:
                _make_folder(doing, Path(folder))
            _write_options(doing, Path(doing.facts.conf.main.path), options, mode=0o640)
        case WritePasses():
            _write_passes(doing)
        case CreateStanza(keys):
            for key in keys:
                _clear(doing, key)
            _pgbackrest(doing, "stanza-create")
        case UpgradeStanza():
            _pgbackrest(doing, "stanza-upgrade")
        case Archive() as action:
            _archive(doing, step, action)
        case Restart():
            _restart(doing)
        case Check():
            _pgbackrest(doing, "check")
        case FirstFull(key):
            _first_full(doing, key)
        case _:
            assert_never(step.action)


def _pgbackrest(doing: Doing, command: str) -> None:
    pgbackrest.run(doing.place, command, target=doing.target, timeout=_CHECK_S)


# ── Files ────────────────────────────────────────────────────────────────────────────────────────


def _may(path: Path, error: OSError, doing: Doing) -> Refused:
    return Refused(
        f"{path} cannot be written: {error.strerror}",
        hint=f"run dbops as root, or let {doing.facts.account or process.current_user()} own {path.parent}",
        target=doing.target,
    )


def _give(doing: Doing, path: Path | int) -> None:
    if os.geteuid() == 0 and doing.facts.account is not None:
        who = process.account(doing.facts.account)
        os.chown(path, who.pw_uid, who.pw_gid)


def _make_folder(doing: Doing, path: Path) -> None:
    if path.is_dir():
        return
    try:
        path.mkdir(mode=0o750)
        _give(doing, path)
    except FileNotFoundError:
        raise Refused(
            f"{path.parent} is not there: {path} cannot be made in it",
            hint="make it (is a file system not mounted?), then run again",
            target=doing.target,
        ) from None
    except OSError as error:
        raise _may(path, error, doing) from error


def _write_options(doing: Doing, path: Path, options: tuple[Option, ...], *, mode: int) -> None:
    text, settings = "", [configuration.Setting(one.section, one.name, one.value) for one in options]
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        if path.exists():
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            _keep(path, doing.run)
        _replace(doing, path, configuration.extended(text, settings), mode=mode)
    except OSError as error:
        raise _may(path, error, doing) from error
    except ValueError as error:
        raise Refused(str(error), hint="its value ends with its line, and loses blanks at its ends") from None


def _keep(path: Path, run: Run) -> None:
    """Leave a copy of somebody's file beside it, for the way back."""
    copy = path.with_name(f"{path.name}.before-{run.id}")
    shutil.copy2(path, copy)
    told = path.stat()
    if os.geteuid() == 0:
        os.chown(copy, told.st_uid, told.st_gid)


def _replace(doing: Doing, path: Path, text: str, *, mode: int, anew: bool = False) -> None:
    """Write in one piece: who reads it, such as the archiver, sees the old text or the new one.

    Owner and mode stay what they were, unless it is made `anew`.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    there = path.stat() if path.exists() and not anew else None
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        if there is None:
            os.fchmod(descriptor, mode)
            _give(doing, descriptor)
        else:
            os.fchmod(descriptor, there.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.chown(descriptor, there.st_uid, there.st_gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_passes(doing: Doing) -> None:
    """Write all passes of this cluster anew, where only its account reads them."""
    path, place, stanza = Path(doing.facts.conf.include.path), doing.place, doing.facts.wanted.stanza
    known = {key: resolve(place.repository[str(key)].cipher or "", target=doing.target) for key in _needed(doing)}
    settings = [configuration.Setting(stanza, f"repo{key}-cipher-pass", value) for key, value in known.items()]
    for one in settings:
        if not configuration.holds(one.value):
            raise Refused(f"{one.name} cannot be written down: it ends with its line, and loses blanks at its ends")
    try:
        path.parent.parent.mkdir(mode=0o755, exist_ok=True)  # /etc/pgbackrest: Debian's file lies beside it
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o750)
            _give(doing, path.parent)
        _replace(doing, path, configuration.extended("", settings), mode=0o600, anew=True)
    except OSError as error:
        raise _may(path, error, doing) from error


def _needed(doing: Doing) -> list[int]:
    """Number the passes that the main file does not hold itself: pgBackRest takes no option twice."""
    main = configuration.parse(Path(doing.facts.conf.main.path).read_text(encoding="utf-8", errors="replace"))
    stanza = doing.facts.wanted.stanza
    return [
        key
        for key in sorted(doing.facts.wanted.ciphers)
        if configuration.effective(main, stanza, f"repo{key}-cipher-pass") is None
    ]


def _clear(doing: Doing, key: int) -> None:
    path = local_path(doing.facts, key)
    if path is not None:
        halves.clear_half(path, doing.facts.wanted.stanza)


# ── The server ───────────────────────────────────────────────────────────────────────────────────


def _archive(doing: Doing, step: Step[Action], action: Archive) -> None:
    with postgres.translated(doing.target):
        for statement in step.statements:
            postgres.execute(doing.connection, statement)
        deadline = clock.monotonic() + _RELOAD_S
        while (waiting := _not_yet(doing.connection, action.effective)) and clock.monotonic() < deadline:
            stop.pause(0.05)
    if waiting:
        raise Refused(
            f"the server does not take {', '.join(waiting)} from ALTER SYSTEM",
            hint="is it given on the server's command line? pg_settings tells its source",
            target=doing.target,
        )


def _not_yet(connection: Connection, settings: tuple[tuple[str, str], ...]) -> list[str]:
    rows = connection.execute("SELECT name, reset_val FROM pg_settings WHERE name LIKE 'archive\\_%'").fetchall()
    now = {str(name): str(value) for name, value in rows}
    return [name for name, value in settings if now.get(name) != (value.removesuffix("s") if _is_span(name) else value)]


def _is_span(name: str) -> bool:
    return name == "archive_timeout"


def _restart(doing: Doing) -> None:
    """Restart it by a program that outlives us: killed in between, we must not leave a server that is down."""
    argv = doing.facts.restart
    program = process.find(argv[0], hint="restart the server by hand, then run again")
    before = _started(doing.connection)
    doing.run.state_dir.mkdir(parents=True, exist_ok=True)
    log = doing.run.state_dir / f"restart-{doing.run.id}.log"
    child = process.start([program, *argv[1:]], log=log, user=doing.facts.account if program.name == "pg_ctl" else None)
    deadline = clock.monotonic() + _RESTART_S
    while (code := child.poll()) is None and clock.monotonic() < deadline:
        stop.pause(0.05)
    if code != 0:
        raise DbopsError(
            f"{program.name} did not restart the server: {log.read_text(errors='replace').strip()[-_SAID:]}",
            hint=f"is it up? its log tells why; what {program.name} said is in {log}",
            target=doing.target,
        )
    log.unlink()
    while not _is_back(doing, before, clock.monotonic() >= deadline):
        stop.pause(0.1)


def _started(connection: Connection) -> datetime:
    return postgres.record(connection, "SELECT pg_postmaster_start_time() AS at")["at"]


def _is_back(doing: Doing, before: datetime, late: bool) -> bool:
    try:
        with postgres.connect(doing.place, doing.run, target=doing.target) as connection:
            if _started(connection) != before:
                return True
    except Unreachable:
        if late:
            raise
    if late:
        raise DbopsError("the server still is the one from before the restart", target=doing.target)
    return False


def _first_full(doing: Doing, key: int) -> None:
    """Take it as `backup run` does, with all that it looks after."""
    facts = look_to_take(doing.config, doing.target, doing.run)
    wanted = of_take.Wanted(kind=of_take.Kind.FULL, reason="the first of its repository")
    other = taking.Doing(doing.config, doing.run, facts, wanted, doing.toml, doing.on_progress, doing.told)
    if facts.orphans:
        taking.apply(other, Step("end orphans", "end processes of a dead backup", of_take.EndOrphans(facts.orphans)))
    summary = f"full backup into repository {key}"
    taking.apply(other, Step(f"full:{key}", summary, of_take.Take(key, of_take.Kind.FULL, "the first")))
    if facts.vault:
        taking.apply(other, Step("keep", "keep the configuration in the vault", of_take.KeepConfiguration()))
