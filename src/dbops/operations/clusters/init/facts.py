"""What matters for backups: the server, pgBackRest's configuration, each repository, who may do what; pure."""

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_RUNS_PGBACKREST = "pgbackrest"


@dataclass(frozen=True, slots=True)
class Server:
    """What the running server says of itself."""

    version: int  # 150020
    system_id: int
    data_directory: str
    config_file: str
    socket_directory: str
    port: int
    user: str  # who is connected
    archive_mode: str  # as it works now
    archive_command: str
    archive_library: str
    archive_timeout: timedelta
    wal_level: str
    checksums: bool
    pending: frozenset[str]  # settings that were changed and wait for a restart
    standby: bool
    archived: datetime | None
    failed: datetime | None
    failed_wal: str | None

    @property
    def major(self) -> str:
        return str(self.version // 10_000)

    @property
    def archiver_fails(self) -> bool:
        return self.failed is not None and (self.archived is None or self.failed > self.archived)


class Pass(StrEnum):
    """What is known of a cipher's pass that the archiver has to find."""

    RIGHT = "right"
    OTHER = "other"
    MISSING = "missing"
    CLASHES = "clashes"  # the main file has another one


@dataclass(frozen=True, slots=True)
class File:
    """A file of pgBackRest's configuration; its text stays where it is, for it may hold secrets."""

    path: str
    exists: bool
    readable: bool = True  # by dbops, just now
    by_account: bool = True  # by the account that runs the archiver
    by_others: bool = False  # by anybody on this host


@dataclass(frozen=True, slots=True)
class Options:
    """A section of the configuration, secrets taken out."""

    name: str
    values: tuple[tuple[str, str], ...]

    @property
    def stanza(self) -> str | None:
        name = self.name.partition(":")[0]
        return None if name == "global" else name


@dataclass(frozen=True, slots=True)
class Conf:
    """pgBackRest's configuration, as it counts for one stanza."""

    main: File
    include: File  # where the secrets of this cluster are, or would be
    sections: tuple[Options, ...]  # of all files that are read
    given: bool  # --config is needed, because it is not where pgBackRest looks by itself
    passes: tuple[tuple[int, Pass], ...] = ()
    foreign: tuple[str, ...] = ()  # sections of no stanza that anybody knows
    writable_defaults: frozenset[str] = frozenset()  # of log-path, spool-path: may be used as they are
    folder: str = ""  # where logs, locks and spool go when they have no place

    @property
    def unknown_passes(self) -> tuple[int, ...]:
        return tuple(key for key, known in self.passes if known is not Pass.RIGHT)


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository: what it has of the stanza."""

    key: int
    created: bool  # the stanza is in it
    half: bool = False  # a creation that was killed: one info file without the other, and nothing else
    encrypted: bool = False
    system_id: int | None = None
    version: str | None = None
    backups: int = 0
    unread: str | None = None  # why it could not be looked at


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the configuration of the platform asks for, as plain values."""

    stanza: str
    repositories: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]  # number: options without "repo1-"
    ciphers: frozenset[int]
    rpo: timedelta | None
    diff: timedelta
    backup_age: timedelta | None
    keep: int


@dataclass(frozen=True, slots=True)
class Facts:
    target: str
    wanted: Wanted
    account: str | None
    cores: int
    server: Server | None
    conf: Conf
    repositories: tuple[Repository, ...]
    program: str = _RUNS_PGBACKREST
    unreachable: str | None = None  # why the server could not be asked
    restart: tuple[str, ...] = ()  # how this server is restarted; none where only its starter can

    def option(self, name: str, command: str | None = None) -> str | None:
        """Return what an option is for this stanza; None where nothing says so and the tool's default counts."""
        stanza = self.wanted.stanza
        nearest = (f"{stanza}:{command}", stanza, f"global:{command}", "global") if command else (stanza, "global")
        for name_of_section in nearest:
            for one in self.conf.sections:
                values = [value for option, value in one.values if one.name == name_of_section and option == name]
                if values:
                    return values[-1]
        return None

    @property
    def keys(self) -> tuple[int, ...]:
        """Number the repositories: those of the platform's configuration, and those that only pgBackRest's has."""
        told = {key for key, _ in self.wanted.repositories}
        for one in self.conf.sections:
            if one.stanza in (None, self.wanted.stanza):
                told |= {number for name, _ in one.values if (number := _repository(name)) is not None}
        return tuple(sorted(told))

    @property
    def ours(self) -> Options | None:
        return next((one for one in self.conf.sections if one.name == self.wanted.stanza), None)

    @property
    def archive_command(self) -> str:
        """Say what the archiver has to run; `%` means something to PostgreSQL, the rest to a shell."""
        where = [f"--config={self.conf.main.path}"] if self.conf.given else []
        if self.conf.given and (self.conf.include.exists or self.conf.unknown_passes):
            where.append(f"--config-include-path={self.conf.include.path.rpartition('/')[0]}")
        argv = [self.program, *where, f"--stanza={self.wanted.stanza}"]
        return f"{shlex.join(argv).replace('%', '%%')} archive-push %p"


def _repository(option: str) -> int | None:
    head, _, rest = option.partition("-")
    number = head.removeprefix("repo")
    return int(number) if rest and head.startswith("repo") and number.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Push:
    """An archive_command that runs pgBackRest."""

    stanza: str | None
    config: str | None
    include: str | None
    passes_path: bool


def pushes(command: str) -> Push | None:
    """Read an archive_command; None for any that is not simply `pgbackrest ... archive-push`."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    program = words[0].rpartition("/")[2] if words else ""
    if program != _RUNS_PGBACKREST or "archive-push" not in words or any(w in {";", "|", "||", "&&"} for w in words):
        return None
    told: dict[str, str] = {}
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            told[name] = value
    return Push(
        told.get("stanza"),
        _path(told.get("config")),
        _path(told.get("config-include-path")),
        any(word in {"%p", "%%p"} for word in words),
    )


def _path(text: str | None) -> str | None:
    return None if text is None else text.replace("%%", "%").rstrip("/")


def secret(option: str) -> bool:
    """Tell whether the value of an option is nobody else's business."""
    return option.endswith(("-pass", "-key", "-key-secret", "-token", "-sas"))
