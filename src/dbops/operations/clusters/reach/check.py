"""Judge what is within reach; pure.

The codes are stable:

DBB501 bad      WAL is missing between what is there, and nobody has acknowledged it
DBB502 bad      a set cannot be restored: WAL of its own making is missing
DBB503 info     a gap, or a set, that is lost, as somebody acknowledged
DBB504 bad      two files with different content carry the name of one segment
DBB505 unknown  a repository could not be read
DBB506 missed   the RPO: the oldest commit that is not archived is older than promised
DBB507 warning  the server's last attempt to archive failed
DBB508 bad      the server is not the cluster whose backups the stanza holds
DBB509 info     a border is not exact: the WAL around it could not be read, or holds no commit
DBB510 warning  how old the oldest commit is that is not archived cannot be told, and an RPO is promised
DBB511 bad      nothing is within reach: there is no complete set
DBB521 missed   the RTO: the restore is predicted to take longer than promised
DBB522 info     something of the server does not survive the restore
DBB523 info     how long the restore will take is not known
"""

from collections.abc import Iterator
from datetime import timedelta

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.operations.clusters.reach.facts import Bystanders, Known, Planned, Told, Window


def check(window: Window, promised: timedelta | None) -> Iterator[Finding]:
    """Tell everything that is wrong with what is within reach."""
    target = window.target
    if window.foreign is not None:
        message = f"the server has system identifier {window.foreign}, which the stanza does not know"
        yield Finding(Severity.BAD, "DBB508", target, message, "does the dsn lead to the cluster of this stanza?")
    for why in window.unread:
        yield Finding(Severity.UNKNOWN, "DBB505", target, f"could not be read: {why}", "is its cipher's pass right?")
    for name in window.duplicates:
        message = f"two files with different content carry the name of WAL segment {name}"
        yield Finding(Severity.BAD, "DBB504", target, message, "did two servers archive into one stanza?")
    if not window.intervals:
        message = "nothing is within reach: there is no complete backup"
        yield Finding(Severity.BAD, "DBB511", target, message, f"dbops backup run --target {target}")
    yield from (_gap(target, one) for one in window.gaps)
    yield from (_incomplete(target, one) for one in window.backups if not one.complete)
    yield from _archiving(window)
    yield from _rpo(window, promised)
    for why in window.about:
        yield Finding(Severity.INFO, "DBB509", target, f"a border is not exact: {why}")


def _gap(target: str, one: Told) -> Finding:
    missing = f"WAL segment {one.first} is" if one.segments == 1 else f"WAL segments {one.first} to {one.last} are"
    told = f"repository {one.repository}: {missing} missing"
    if one.reason is not None:
        return Finding(Severity.INFO, "DBB503", target, f"{told}, acknowledged on {one.on}: {one.reason}")
    hint = f"take a backup: dbops backup run --target {target}; acknowledge it in [[cluster.{target}.backup.lost]]"
    return Finding(Severity.BAD, "DBB501", target, told, hint)


def _incomplete(target: str, one: Known) -> Finding:
    missing = f"WAL segment {one.missing} is missing" if one.missing else "its WAL is not told"
    told = f"set {one.label} of repository {one.repository} cannot be restored: {missing}"
    if one.lost is not None:
        return Finding(Severity.INFO, "DBB503", target, f"{told}, acknowledged: {one.lost}")
    return Finding(Severity.BAD, "DBB502", target, told, f"take a backup: dbops backup run --target {target}")


def _archiving(window: Window) -> Iterator[Finding]:
    told = window.archiver
    if told is not None and told.failing and told.last_failed is not None:
        message = f"WAL is not being archived: {told.last_failed_wal} failed at {units.instant(told.last_failed)}"
        yield Finding(Severity.WARNING, "DBB507", window.target, message, "look at archive_command in the server's log")


def _rpo(window: Window, promised: timedelta | None) -> Iterator[Finding]:
    if promised is None:
        return
    rpo = window.rpo
    objective = f"the objective is {units.duration(promised)}"
    if rpo.age is None:
        yield Finding(Severity.WARNING, "DBB510", window.target, f"RPO now: unknown, {rpo.how}; {objective}")
    elif rpo.age > promised:
        age = units.duration(rpo.age)
        if rpo.exact:
            message = f"the oldest commit that is not archived is {age} old; {objective}"
            hint = "SELECT pg_switch_wal(); then look at archive_command and archive_timeout"
            yield Finding(Severity.MISSED, "DBB506", window.target, message, hint)
        else:
            message = f"the oldest commit that is not archived may be {age} old; {objective}"
            yield Finding(Severity.WARNING, "DBB510", window.target, message, "run dbops where the server's WAL lies")


def check_plan(planned: Planned) -> Iterator[Finding]:
    """Tell what a restore along this way would not keep."""
    target = planned.chosen.target
    if planned.predicted is None:
        message = "how long it will take is not known: no restore was measured here yet"
        yield Finding(Severity.INFO, "DBB523", target, message, f"dbops pitr restore --target {target} --latest")
    elif planned.objective is not None and planned.predicted > planned.objective:
        message = f"it will take about {units.duration(planned.predicted)}"
        message += f"; the objective is {units.duration(planned.objective)}"
        yield Finding(Severity.MISSED, "DBB521", target, message, "take backups more often, or give it faster disks")
    for what, names in _lost(planned.bystanders):
        yield Finding(Severity.INFO, "DBB522", target, f"{what}: {', '.join(names)}")


def _lost(told: Bystanders | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    if told is None:
        return
    for what, names in (
        ("replication slots are not in a backup, and their readers have to begin anew", told.slots),
        ("publications fall back to the target, and their subscribers may be ahead of them", told.publications),
        ("subscriptions fall back to the target, and would read again what they had", told.subscriptions),
    ):
        if names:
            yield what, names
