"""What is missing between a cluster as it is and one under backup; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from dbops.engine.plan import Plan, Risk, Statement, Step
from dbops.operations.clusters.init.facts import Facts, Repository, Server, pushes

LONGEST_TIMEOUT = timedelta(seconds=60)  # an idle server's last rows wait no longer than this
_RELOAD = Statement("SELECT pg_reload_conf()")
_GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Option:
    """One line of pgBackRest's configuration."""

    section: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Configure:
    """Write options into the configuration file; what else is in it stays."""

    options: tuple[Option, ...]
    folders: tuple[str, ...] = ()  # that have to be there, and belong to the account


@dataclass(frozen=True, slots=True)
class WritePasses:
    """Write the passes of these repositories where the archiver, and nobody else, reads them."""

    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CreateStanza:
    halves: tuple[int, ...] = ()  # repositories with the rest of a creation that was killed


@dataclass(frozen=True, slots=True)
class UpgradeStanza:
    """Let the stanza follow a cluster that pg_upgrade made anew."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Settings of the server; `effective` are those that work without a restart, and are waited for."""

    settings: tuple[tuple[str, str], ...]
    effective: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart the server: what its archiving needs cannot be changed while it runs."""


@dataclass(frozen=True, slots=True)
class Check:
    """Push one segment through the archiver, and see it arrive in every repository."""


@dataclass(frozen=True, slots=True)
class FirstFull:
    key: int


Action = Configure | WritePasses | CreateStanza | UpgradeStanza | Archive | Restart | Check | FirstFull


def plan(facts: Facts, *, restart: bool = False) -> Plan[Action]:
    """Plan what is missing, in the order in which it can work; without `restart` it may end before the check."""
    server = facts.server
    if server is None:
        return Plan(facts.target, "bring under backup")
    steps = [*_configured(facts), *_stanza(facts, server), *_archiving(facts, server)]
    waits = needs_restart(facts)
    if waits and restart:
        steps.append(_restart(server))
    if not waits or restart:
        missing = [key for key in facts.keys if not at(facts, key).backups or _is_old(at(facts, key), server)]
        if steps or missing:
            told = "archive one segment and see it arrive"
            steps.append(Step("check", told, Check()))
        steps += [_full(facts, key) for key in missing]
    return Plan(facts.target, "bring under backup", tuple(steps))


def at(facts: Facts, key: int) -> Repository:
    return next((one for one in facts.repositories if one.key == key), Repository(key, created=False))


# ── pgBackRest's configuration ───────────────────────────────────────────────────────────────────


def _configured(facts: Facts) -> Iterator[Step[Action]]:
    options = tuple(_options(facts))
    path = facts.conf.main.path
    if options:
        old = [(one, told) for one in options if (told := _here(facts, one)) is not None]
        replaced = tuple(f"{one.name}={told} becomes {one.value}" for one, told in old)
        kept = (f"a copy of the old file stays beside it: {path}.before-RUN",) if facts.conf.main.exists else ()
        verb = "extend" if facts.conf.main.exists else "write"
        yield Step(
            "configure",
            f"{verb} {path}: {_listed(options)}",  # what is written is a part of what is agreed to
            Configure(options, tuple(_folders(facts))),
            Risk.BLOCKS if replaced else Risk.SAFE,
            notes=(*replaced, *kept),
        )
    keys = _passes(facts)
    if keys:
        told = ", ".join(f"repo{key}-cipher-pass" for key in keys)
        yield Step(
            "passes",
            f"write {told} into {facts.conf.include.path} (mode 0600, {facts.account or 'its owner'})",
            WritePasses(keys),
            notes=("the archiver of the server finds the pass there; the value itself is shown nowhere",),
        )


def _passes(facts: Facts) -> tuple[int, ...]:
    """Number the passes that are to be written: all of them where others read the file, or the archiver cannot."""
    include = facts.conf.include
    if include.exists and (include.by_others or not include.by_account):
        return tuple(key for key, _ in facts.conf.passes)
    return facts.conf.unknown_passes


def _listed(options: tuple[Option, ...]) -> str:
    sections = dict.fromkeys(one.section for one in options)
    told = ((name, " ".join(f"{one.name}={one.value}" for one in options if one.section == name)) for name in sections)
    return ", ".join(f"[{name}] {lines}" for name, lines in told)


def _here(facts: Facts, option: Option) -> str | None:
    for one in facts.conf.sections:
        for name, value in one.values:
            if one.name == option.section and name == option.name:
                return value
    return None


def _options(facts: Facts) -> Iterator[Option]:
    stanza, server = facts.wanted.stanza, facts.server
    for name, value in _tool(facts):
        if facts.option(name) is None:
            yield Option(_GLOBAL, name, value)
    if facts.option("process-max", "restore") is None and facts.cores > 1:  # nothing else needs the cores then
        yield Option(f"{_GLOBAL}:restore", "process-max", str(facts.cores))
    if server is not None:
        for name, value in own(server, index(facts)):
            if facts.option(name) != value:
                yield Option(stanza, name, value)
    for key, wanted in facts.wanted.repositories:
        for name, value in wanted:
            if facts.option(f"repo{key}-{name}") is None:
                yield Option(stanza, f"repo{key}-{name}", value)
    for key in facts.keys:
        if facts.option(f"repo{key}-bundle") is None:
            yield Option(stanza, f"repo{key}-bundle", "y")
        if key in facts.wanted.ciphers and facts.option(f"repo{key}-cipher-type") in (None, "none"):
            yield Option(stanza, f"repo{key}-cipher-type", "aes-256-cbc")


def _tool(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "compress-type", "zst"
    yield "process-max", str(max(1, facts.cores // 4))
    yield "start-fast", "y"
    yield "expire-auto", "n"  # what is expired is decided, and explained, elsewhere
    yield "lock-path", f"{facts.conf.folder}/lock"  # not in /tmp, which is swept
    for name in ("log", "spool"):
        if f"{name}-path" not in facts.conf.writable_defaults:
            yield f"{name}-path", f"{facts.conf.folder}/{name}"


def _folders(facts: Facts) -> Iterator[str]:
    for name in ("lock-path", "log-path", "spool-path"):
        told = facts.option(name)
        if told is not None:
            yield told
        elif name not in facts.conf.writable_defaults:
            yield f"{facts.conf.folder}/{name.partition('-')[0]}"
    for key, wanted in facts.wanted.repositories:
        options = dict(wanted)
        if options.get("type", facts.option(f"repo{key}-type") or "posix") == "posix" and "host" not in options:
            path = facts.option(f"repo{key}-path") or options.get("path")
            if path is not None:
                yield path


def index(facts: Facts) -> int:
    """Number the stanza's host that this server is: the one whose path it has, otherwise the first."""
    assert facts.server is not None  # noqa: S101  # asked by those who have one
    for number in range(1, 9):
        if facts.option(f"pg{number}-path") == facts.server.data_directory:
            return number
    return 1


def own(server: Server, number: int) -> tuple[tuple[str, str], ...]:
    return (
        (f"pg{number}-path", server.data_directory),
        (f"pg{number}-port", str(server.port)),
        (f"pg{number}-socket-path", server.socket_directory),
        (f"pg{number}-user", server.user),
    )


# ── The stanza ───────────────────────────────────────────────────────────────────────────────────


def _stanza(facts: Facts, server: Server) -> Iterator[Step[Action]]:
    there = [at(facts, key) for key in facts.keys]
    missing = [one for one in there if not one.created]
    name = facts.wanted.stanza
    if missing:
        told = ", ".join(str(one.key) for one in missing)
        halves = tuple(one.key for one in missing if one.half)
        notes = (f"a creation that was interrupted is cleared away first: {_told(halves)}",) if halves else ()
        summary = f"create the stanza {name} in repository {told}"
        yield Step("stanza", summary, CreateStanza(halves), notes=notes)
    older = [one for one in there if _is_old(one, server)]
    if older:
        yield Step(
            "upgrade",
            f"let the stanza {name} follow PostgreSQL from {older[0].version} to {server.major}",
            UpgradeStanza(),
            Risk.BLOCKS,
            notes=("backups of the old version stay, for the old version; the new one needs its own full backup",),
        )


def _is_old(there: Repository, server: Server) -> bool:
    """Tell whether a stanza, and all backups in it, are of the version before pg_upgrade."""
    return there.created and there.version not in (None, server.major)


def _told(keys: tuple[int, ...]) -> str:
    return ", ".join(f"repository {key}" for key in keys)


def _full(facts: Facts, key: int) -> Step[Action]:
    told = f"take the first full backup into repository {key}"
    return Step(f"full:{key}", told, FirstFull(key), notes=(f"stanza {facts.wanted.stanza}",))


# ── The server ───────────────────────────────────────────────────────────────────────────────────


def timeout(facts: Facts, server: Server) -> timedelta | None:
    """Return the archive_timeout that the server needs; None where its own will do."""
    now, rpo = server.archive_timeout, facts.wanted.rpo
    if timedelta(0) < now and (rpo is None or now <= rpo):
        return None
    half = timedelta(seconds=max(1, int(rpo.total_seconds() / 2))) if rpo is not None else LONGEST_TIMEOUT
    return min(half, LONGEST_TIMEOUT)  # the segment has to arrive, too


def is_ours(facts: Facts, command: str) -> bool:
    """Tell whether an archive_command archives into this stanza, with the configuration that we look at."""
    push, wanted = pushes(command), pushes(facts.archive_command)
    if push is None or wanted is None or push.stanza != facts.wanted.stanza or not push.passes_path:
        return False
    return push.config == wanted.config and wanted.include in (None, push.include)


def _archiving(facts: Facts, server: Server) -> Iterator[Step[Action]]:
    settings: list[tuple[str, str]] = []
    effective: list[tuple[str, str]] = []
    notes: list[str] = []
    risk = Risk.SAFE
    if server.archive_mode == "off" and "archive_mode" not in server.pending:
        settings.append(("archive_mode", "on"))
        notes.append("archive_mode needs a restart of the server")
    if server.wal_level == "minimal" and "wal_level" not in server.pending:
        settings.append(("wal_level", "replica"))
        notes.append("wal_level needs a restart of the server")
    if server.archive_library:
        effective.append(("archive_library", ""))
        notes.append(f"archive_library was {server.archive_library!r}: it would win over the command")
        risk = Risk.BLOCKS
    if not is_ours(facts, server.archive_command):
        effective.append(("archive_command", facts.archive_command))
        if server.archive_command:
            notes += [f"until now: {server.archive_command}", f"from now:  {facts.archive_command}"]
            risk = Risk.BLOCKS
    wanted = timeout(facts, server)
    if wanted is not None:
        effective.append(("archive_timeout", f"{int(wanted.total_seconds())}s"))
    settings += effective
    if settings:
        what = ", ".join(name for name, _ in settings)
        statements = tuple(Statement(f"ALTER SYSTEM SET {name} = %s", values=(value,)) for name, value in settings)
        action = Archive(tuple(settings), tuple(effective))
        yield Step(
            "archive", f"set {what} of the server", action, risk, statements=(*statements, _RELOAD), notes=tuple(notes)
        )


def needs_restart(facts: Facts) -> tuple[str, ...]:
    """Name the settings that work only after a restart."""
    server = facts.server
    if server is None:
        return ()
    off = ("archive_mode",) if server.archive_mode == "off" else ()
    return (*off, *(("wal_level",) if server.wal_level == "minimal" else ()))


def _restart(server: Server) -> Step[Action]:
    told = f"restart the server in {server.data_directory}"
    note = "connections are cut; what is not committed is rolled back"
    return Step("restart", told, Restart(), Risk.BLOCKS, notes=(note,))
