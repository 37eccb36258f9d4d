"""Look at a cluster that is to be brought back in its own place: its server, its folders, who follows it."""

import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from dbops import process, units
from dbops.config.model import Cluster, Config
from dbops.engine.run import Run
from dbops.errors import ConfigInvalid, Refused
from dbops.operations.clusters.repository import postgres_folder
from dbops.operations.clusters.restore import guarding, in_place_live, in_place_notes
from dbops.operations.clusters.restore.facts import Aim, Goal
from dbops.operations.clusters.restore.in_place_facts import Facts, Identity, Moved, Note, Space
from dbops.operations.clusters.restore.in_place_live import server_in
from dbops.servers import alive
from dbops.stores import pgbackrest

Choose = Callable[[int | None], Goal]  # given the timeline that the cluster is on

DEBIAN = Path("/etc/postgresql")  # where its clusters have their configuration: VERSION/NAME

_FIELD = re.compile(r"^(.+?):\s+(.*)$", re.MULTILINE)
_SPARE = 64 << 20
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")


def observe(config: Config, target: str, run: Run, choose: Choose, *, wanted: str, delta: bool) -> Facts:
    """See where it stands; what an earlier run has begun is gone on with."""
    place = config.cluster[target]
    note = in_place_notes.read(run.state_dir, target)
    if note is not None and _went_back(note):
        note = None
    if note is not None:
        if (note.wanted, note.delta) != (wanted, delta):
            raise Refused(
                f"an in-place restore to {note.wanted} is under way since {note.since}, and not finished",
                hint=f"finish it first: the same command{' with --delta' if note.delta else ''}, to {note.wanted}",
                target=target,
            )
        return _facts(note, noted=True)
    data = _data(place, target)
    _refuse_others(config, place, target, data)
    live = in_place_live.observe(place, target, run, data)
    note = _as_it_is(place, target, run, data, live)
    # Along its own history: after a way back the highest timeline is one that was given up.
    goal = _chosen(place, target, run, partial(choose, note.timeline or None), asks=live is not None)
    aim = replace(note, wanted=wanted, aim=goal.aim, size=goal.size, segments=goal.segments, delta=delta)
    return _facts(aim, noted=False, notes=goal.notes)


def _went_back(note: Note) -> bool:
    """Tell whether all is where it was, by hand or because nothing was moved: there is nothing to go on with."""
    made = {one.path: one for one in note.made}.get(note.data)
    aside = any(Path(moved.aside).exists() for moved in note.moved)
    return not note.delta and not aside and (made is None or identity(note.data) != made)


def identity(path: str) -> Identity | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return Identity(path, found.st_dev, found.st_ino)


def _data(place: Cluster, target: str) -> Path:
    found = guarding.data_directories(place)
    if not found:
        raise ConfigInvalid(
            "it is not known where the cluster keeps its data",
            hint=f'set [cluster.{target}] data_directory = "..."',
            target=target,
        )
    if len({each.resolve() for each in found}) > 1:
        raise Refused(
            f"stanza {place.stanza} is that of {found[1]}, and {target} is in {found[0]}",
            hint="is it the right stanza? its backups would replace another cluster",
            target=target,
        )
    return found[0].resolve()


def _refuse_others(config: Config, place: Cluster, target: str, data: Path) -> None:
    """See that these folders are this cluster's, and nobody else's."""
    for name, other in config.cluster.items():
        if name != target and data in {each.resolve() for each in guarding.data_directories(other)}:
            raise Refused(f"{data} is the data directory of {name}, too", hint="which one is it?", target=target)
    own = [data, *(link.resolve() for link, _ in guarding.outside(data))]
    for folder in own:
        guarding.refuse_production(config, folder, target=target, own=own)
    told = control(data, place, target)
    system = told.get("Database system identifier")
    known = {one.system_id for stanza in pgbackrest.info(place, target=target) for one in stanza.databases}
    if system is not None and known and int(system) not in known:
        raise Refused(
            f"stanza {place.stanza} holds another cluster than the one in {data}",
            hint="is it the right stanza? its backups would replace another cluster",
            target=target,
        )


def control(data: Path, place: Cluster, target: str) -> dict[str, str]:
    """Read pg_control; nothing when there is none."""
    try:
        version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
        if not (data / "global" / "pg_control").exists():
            return {}
    except OSError:
        return {}
    program = process.find("pg_controldata", postgres_folder(version))
    told = process.run([program, "-D", data], user=pgbackrest.run_as(place, target=target), timeout=10)
    return dict(_FIELD.findall(told.out.decode("utf-8", "replace")))


def _chosen(place: Cluster, target: str, run: Run, choose: Callable[[], Goal], *, asks: bool) -> Goal:
    """Choose the way; a moment that is not archived yet is archived first: an accident is mostly a minute old."""
    try:
        return choose()
    except Refused as error:
        if not asks:
            raise
        if run.plan_only:
            error.hint = f"{error.hint or ''}; without --plan, what is not archived yet is archived first".lstrip("; ")
            raise
        if not in_place_live.archive_now(place, target, run):
            raise
    return choose()


def _as_it_is(place: Cluster, target: str, run: Run, data: Path, live: in_place_live.Live | None) -> Note:
    argv = _argv(data, place, target)
    told = control(data, place, target)
    timeline = live.timeline if live is not None else int(told.get("Latest checkpoint's TimeLineID", "0"))
    return Note(
        run=run.id,
        target=target,
        since=units.instant(run.started),
        wanted="",
        aim=Aim(""),
        size=0,
        segments=0,
        delta=False,
        data=str(data),
        wal_kept=f"{data}.wal-before-{run.id}",
        moved=tuple(_moved(data, run.id)),
        argv=argv,
        log=_log(data, run.state_dir, target),
        timeline=timeline,
        standbys=live.standbys if live is not None else (),
        slots=live.slots if live is not None else (),
    )


def _moved(data: Path, run: str) -> list[Moved]:
    found = [Moved(str(data), f"{data}.before-{run}", "data", "")]
    for link, _ in guarding.outside(data):
        real, name = link.resolve(), str(link.relative_to(data))
        if name != "log" and not real.is_relative_to(data):
            what = "wal" if name == "pg_wal" else "tablespace"
            found.append(Moved(str(real), f"{real}.before-{run}", what, name))
    return found


def _argv(data: Path, place: Cluster, target: str) -> tuple[str, ...]:
    """Tell how its server is started: as it was the last time, otherwise as Debian's configuration says."""
    with suppress(OSError, ValueError):
        words = shlex.split((data / "postmaster.opts").read_text(encoding="utf-8"))
        if words and Path(words[0]).name in ("postgres", "postmaster"):
            return tuple(words)
    versions = [one.version for stanza in pgbackrest.info(place, target=target) for one in stanza.databases]
    folders = [postgres_folder(version) for version in reversed(versions)]
    program = process.find("postgres", *folders, hint="install PostgreSQL of the backup's version")
    return (str(program), "-D", str(data), *_debian(data))


def _debian(data: Path) -> tuple[str, ...]:
    for conf in sorted(DEBIAN.glob("*/*/postgresql.conf")):
        with suppress(OSError, UnicodeDecodeError):
            found = re.search(r"^\s*data_directory\s*=\s*'([^']+)'", conf.read_text(encoding="utf-8"), re.MULTILINE)
            if found and Path(found[1]).resolve() == data:
                return ("-c", f"config_file={conf}")
    return ()


def _log(data: Path, state_dir: Path, target: str) -> str:
    """Name the file that the server writes to, if it is one."""
    pid = server_in(data)
    if pid is not None:
        with suppress(OSError):
            told = Path(f"/proc/{pid}/fd/2").readlink()
            if told.is_file() and not told.is_relative_to(data):
                return str(told)
    return str(state_dir / "in-place" / f"{target}.log")


def _facts(note: Note, *, noted: bool, notes: tuple[str, ...] = ()) -> Facts:
    data = Path(note.data)
    pid = server_in(data)
    aside = frozenset(moved.path for moved in note.moved if Path(moved.aside).exists())
    gone = frozenset(moved.path for moved in note.moved if not Path(moved.path).exists()) - aside
    still = [Path(moved.path) for moved in note.moved if moved.path not in aside | gone]
    return Facts(
        note,
        noted=noted,
        running=pid,
        unit=_unit(pid),
        ready=() if note.data in aside else tuple(sorted(one.name.removesuffix(".ready") for one in waiting(data))),
        aside=aside,
        missing=gone,
        wal_is_kept=Path(note.wal_kept).exists(),
        spaces=() if noted else tuple(_spaces(note)),
        mounted=tuple(str(each) for each in still if each.is_mount()),
        closed=tuple(str(each) for each in still if not os.access(each.parent, os.W_OK | os.X_OK)),
        notes=notes,
    )


def waiting(data: Path) -> list[Path]:
    """List what waits to be archived."""
    with suppress(OSError):
        return list((data / "pg_wal" / "archive_status").glob("*.ready"))
    return []


def _unit(pid: int | None) -> str | None:
    if pid is None:
        return None
    with suppress(OSError):
        found = _UNIT.search(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").strip())
        own = _UNIT.search(Path("/proc/self/cgroup").read_text(encoding="utf-8").strip())
        if found and (own is None or own[1] != found[1]) and alive.is_alive(pid):
            return found[1]
    return None


def _spaces(note: Note) -> list[Space]:
    """Share what is restored out over the file systems as what is there now is."""
    held: dict[int, tuple[str, int]] = {}
    for moved in note.moved:
        place = Path(moved.path)
        if not place.exists():
            place = next(each for each in place.parents if each.exists())
        device = place.stat().st_dev
        path, size = held.get(device, (str(place), 0))
        held[device] = (path, size + _size(Path(moved.path)))
    whole = sum(size for _, size in held.values())
    return [
        Space(path, shutil.disk_usage(path).free, int(note.size * (size / whole if whole else 1)) + _SPARE)
        for path, size in held.values()
    ]


def _size(folder: Path) -> int:
    found = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                found += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118  # a million files: no Path each
    return found
