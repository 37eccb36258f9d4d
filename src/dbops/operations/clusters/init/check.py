"""What keeps a cluster from the recovery that was promised; pure.

Codes: DBB100 no archiving, 101 waits for a restart, 102 another archive_command, 103 into another stanza or by another
configuration, 104 the archiver fails, 105 RPO out of reach, 106 backups rarer than their promised age, 107
archive_mode=always, 108 no page checksums, 109 no stanza, 110 a section that no stanza uses, 111 another directory,
112 another cluster's stanza, 113 process-max, 114 compression, 115 bundling, 116 no cipher, 117 a secret that others
can read, 118 retention-archive, 119 pgBackRest expires by itself, 120 a folder in the wrong place, 121 start-fast,
122 no backup, 123 the archiver cannot read its configuration, 124 no repository, 125 the pass is not found, 126
wal_level, 130 the server, 131 the configuration, 132 a repository could not be looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from dbops.engine.finding import Finding, Severity
from dbops.operations.clusters.init.facts import Facts, Pass, Repository, Server, pushes
from dbops.operations.clusters.init.plan import LONGEST_TIMEOUT, at, index, is_ours, needs_restart, timeout
from dbops.units import duration


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as it should be: what is, what should be, and how it gets there."""

    severity: Severity
    code: str
    target: str
    what: str
    found: str
    wanted: str
    command: str

    @property
    def finding(self) -> Finding:
        message = f"{self.what}: {self.found}; it should be: {self.wanted}"
        return Finding(self.severity, self.code, self.target, message, self.command)


@dataclass(frozen=True, slots=True)
class Judge:
    """Writes deviations of one target down."""

    target: str

    def __call__(  # noqa: PLR0917  # as a row of the table reads
        self, severity: Severity, code: int, what: str, found: str, wanted: str, command: str = ""
    ) -> Deviation:
        command = command or f"dbops backup init --target {self.target}"
        return Deviation(severity, f"DBB{code}", self.target, what, found, wanted, command)


def server(facts: Facts) -> Iterator[Deviation]:
    """Judge the server: without its archiver there is nothing but the backups themselves."""
    tell = Judge(facts.target)
    there = facts.server
    if there is None:
        why = facts.unreachable or "it does not answer"
        yield tell(
            Severity.UNKNOWN, 130, "the server", f"could not be asked: {why}", "asked", "start it, then audit again"
        )
        return
    if there.standby:
        yield tell(Severity.UNKNOWN, 130, "the server", "a standby", "the primary", "let the dsn lead to the primary")
        return
    yield from _archiving(facts, there, tell)
    yield from _objectives(facts, there, tell)
    if not there.checksums:
        wanted = "on: without them a damaged page goes into every backup unnoticed"
        command = f"pg_checksums --enable -D {there.data_directory}   (while the server is down)"
        yield tell(Severity.WARNING, 108, "page checksums", "off", wanted, command)
    path = facts.option(f"pg{index(facts)}-path")
    if path not in (None, there.data_directory):
        told = f"{path} in {facts.conf.main.path}"
        yield tell(Severity.BAD, 111, "pg1-path", told, there.data_directory, "correct it, or name another stanza")


def _archiving(facts: Facts, there: Server, tell: Judge) -> Iterator[Deviation]:
    if there.archive_mode == "off":
        found = "off, and waits for a restart" if "archive_mode" in there.pending else "off"
        yield tell(
            Severity.BAD, 100, "archive_mode", found, "on: no moment after a backup can be recovered", restart(facts)
        )
    if there.archive_mode == "always":
        command = "ALTER SYSTEM SET archive_mode = 'on', then restart"
        wanted = "on: a standby would archive into the same repository, too"
        yield tell(Severity.WARNING, 107, "archive_mode", "always", wanted, command)
    if there.wal_level == "minimal":
        yield tell(Severity.BAD, 126, "wal_level", "minimal", "replica: this WAL recovers nothing", restart(facts))
    command = there.archive_command
    if there.archive_library:
        found, wanted = f"set to {there.archive_library!r}", "empty: it wins over archive_command"
        yield tell(Severity.BAD, 102, "archive_library", found, wanted)
    elif not command:
        yield tell(Severity.BAD, 100, "archive_command", "empty", facts.archive_command)
    elif pushes(command) is None:
        yield tell(Severity.BAD, 102, "archive_command", f"not pgBackRest's: {command}", facts.archive_command)
    elif not is_ours(facts, command):
        found = f"for another stanza or configuration: {command}"
        yield tell(Severity.BAD, 103, "archive_command", found, facts.archive_command)
    if there.archiver_fails and there.archive_mode != "off":
        found = f"fails at {there.failed_wal}: nothing after it is in the repository"
        how = "pgbackrest says why in the server's log; dbops backup init checks it"
        yield tell(Severity.BAD, 104, "the archiver", found, "archives every segment", how)


def restart(facts: Facts) -> str:
    how = " ".join(facts.restart) or "restart the server as it is started"
    return f"dbops backup init --target {facts.target}, then {how}"


def _objectives(facts: Facts, there: Server, tell: Judge) -> Iterator[Deviation]:
    rpo, age = facts.wanted.rpo, facts.wanted.backup_age
    now = there.archive_timeout
    if timeout(facts, there) is not None:
        found = "0: an unfinished segment is never archived" if now == timedelta(0) else duration(now)
        most = f"at most {duration(rpo)}, the RPO" if rpo is not None else f"about {duration(LONGEST_TIMEOUT)}"
        severity = Severity.MISSED if rpo is not None else Severity.WARNING
        yield tell(severity, 105, "archive_timeout", found, most)
    if age is not None and facts.wanted.diff > age:
        found, wanted = f"every {duration(facts.wanted.diff)}", f"at most {duration(age)}, the promised age"
        command = f"[cluster.{facts.target}.backup] diff"
        yield tell(Severity.MISSED, 106, "the schedule of backups", found, wanted, command)


def repositories(facts: Facts) -> Iterator[Deviation]:
    """Judge each repository by itself: a good one excuses no other."""
    tell = Judge(facts.target)
    if not facts.keys:
        command = f"[cluster.{facts.target}.repository.1] path"
        yield tell(Severity.BAD, 124, "repositories", "none is configured", "one at least", command)
    for key in facts.keys:
        yield from _repository(facts, at(facts, key), tell)


def _repository(facts: Facts, there: Repository, tell: Judge) -> Iterator[Deviation]:
    what = f"repository {there.key}"
    if there.unread is not None:
        how = "is its path right, and the pass of its cipher?"
        yield tell(Severity.UNKNOWN, 132, what, f"could not be looked at: {there.unread}", "readable", how)
        return
    if not there.created:
        found = f"has no stanza {facts.wanted.stanza}{' (a creation was interrupted)' if there.half else ''}"
        yield tell(Severity.BAD, 109, what, found, "the stanza, and a full backup")
        return
    server = facts.server
    if server is not None and (
        there.system_id not in (None, server.system_id) or there.version not in (None, server.major)
    ):
        found = f"made for system identifier {there.system_id}, PostgreSQL {there.version}"
        wanted = f"{server.system_id}, PostgreSQL {server.major}: this cluster's"
        yield tell(Severity.BAD, 112, f"{what}, stanza {facts.wanted.stanza}", found, wanted)
    if not there.backups:
        yield tell(Severity.BAD, 122, what, "has no backup of this cluster", "one full backup at least")
    if not there.encrypted:
        wanted = "encrypted: who reads the repository reads every database"
        command = f"a new repository with [cluster.{facts.target}.repository.N] cipher: it is fixed at creation"
        yield tell(Severity.WARNING, 116, what, "has no cipher", wanted, command)


def passes(facts: Facts) -> Iterator[Deviation]:
    tell = Judge(facts.target)
    for key, known in facts.conf.passes:
        if known is not Pass.RIGHT:
            found = "not where the archiver finds it" if known is Pass.MISSING else "another than the one referred to"
            wanted = f"in {facts.conf.include.path}, mode 0600"
            yield tell(Severity.BAD, 125, f"the pass of repository {key}", found, wanted)


def while_initializing(facts: Facts, *, restarting: bool) -> tuple[Finding, ...]:
    """Tell what the operator has to do before the rest of the plan can be done."""
    waiting = needs_restart(facts)
    if not waiting or restarting:
        return ()
    how = " ".join(facts.restart) or "whoever starts the server has to restart it"
    rest = f"then run `dbops backup init --target {facts.target}` again, for the check and the first full backup"
    what = f"{' and '.join(waiting)} {'work' if len(waiting) > 1 else 'works'}"
    message = f"{what} only after a restart of the server, which is yours to choose; {rest}"
    hint = f"{how}; or let init do it: --restart" if facts.restart else how
    return (Finding(Severity.WARNING, "DBB101", facts.target, message, hint),)
