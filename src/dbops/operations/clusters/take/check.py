"""What is wrong, or worth knowing, about taking backups and about those that are there; pure. Codes are stable.

DBB201  pages of the source were damaged when the backup was taken
DBB202  WAL that the backup needs is not in the archive
DBB203  a repository cannot be read, so no backup goes there
DBB204  there is no vault for the configuration
DBB205  processes of a dead backup held the lock and were ended
DBB206  pgBackRest warned
DBB207  pgBackRest did something that is worth knowing
DBB208  the archiver fails
DBB210  there is no backup
DBB211  the backups of a repository could not be listed
DBB212  the newest backup is older than promised
DBB213  what verifications have found could not be recalled
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.operations.clusters.take.facts import NO_STANZA, Facts, Orphan

_PAGES = re.compile(r"invalid page checksums? found in file (?P<file>.+) at pages? (?P<pages>[\d, -]+)")
_SILENT = ("option 'repo1-retention-full' is not set", "-retention-full' is not set")
_KNOWN = (
    "no prior backup exists",
    "aborted backup",
    "resumable backup",
    "a timeline switch has occurred",
    "cannot be resumed",
    "has been changed to full",
    "found in repository added to backup.info",  # whole, when its run was killed
)


def before(facts: Facts) -> Iterator[Finding]:
    """Judge what is seen before anything is done."""
    for one in facts.repositories:
        if not one.readable:
            message = f"repository {one.key} cannot be read, so it gets no backup: {one.message}"
            yield Finding(Severity.ERROR, "DBB203", facts.target, message, _of_status(one.status, facts.target))
    if not facts.vault:
        message = "there is no vault, so the configuration is not kept: a bare host needs it beside the backup"
        yield Finding(Severity.WARNING, "DBB204", facts.target, message, 'add [vault] url = "file:///folder"')
    if facts.archiver.failing:
        at = facts.archiver.last_failed_at
        since = f" at {units.instant(at)}" if at else ""
        message = f"WAL is not being archived: {facts.archiver.last_failed} failed{since}; a backup will wait for it"
        yield Finding(Severity.WARNING, "DBB208", facts.target, message, "look at archive_command in the server's log")


def _of_status(status: int, target: str) -> str:
    if status in NO_STANZA:
        return f"bring it under backup: dbops backup init --target {target}"
    return "pgbackrest info tells the same; see its log"


def warned(target: str, repository: int, label: str, text: str) -> Finding | None:
    """Tell a warning of pgBackRest; None for what is so by our own doing."""
    if any(part in text for part in _SILENT):
        return None
    if damaged := _PAGES.fullmatch(text):
        pages = damaged["pages"].strip()
        word = "page" if pages.isdigit() else "pages"
        message = f"{label}: {damaged['file']} is damaged at {word} {pages}; the backup holds it as it is"
        hint = "the runbook backup-is-red.md tells how to find what is on it, and where a whole copy is"
        return Finding(Severity.BAD, "DBB201", target, message, hint)
    known = any(part in text for part in _KNOWN)
    told = f"repository {repository}: {text}"
    return Finding(Severity.INFO if known else Severity.WARNING, "DBB207" if known else "DBB206", target, told)


def damaged(target: str, label: str) -> Finding:
    message = f"{label} holds damaged pages of the source"
    return Finding(Severity.BAD, "DBB201", target, message, f"pgbackrest info --set={label} names the files")


def lacks_wal(target: str, label: str, missing: Sequence[str]) -> Finding:
    several = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    message = f"{label} cannot be restored: its WAL segment {missing[0]}{several} is not in the archive"
    return Finding(Severity.BAD, "DBB202", target, message, "take another backup now: dbops backup run --type full")


def ended(target: str, orphans: Sequence[Orphan]) -> Finding:
    pids = ", ".join(str(one.pid) for one in orphans)
    message = f"processes of a dead backup held the lock and were ended: {pids}"
    return Finding(Severity.INFO, "DBB205", target, message)


def none_at_all(target: str, repository: int | None = None) -> Finding:
    where = "" if repository is None else f" in repository {repository}"
    return Finding(Severity.MISSED, "DBB210", target, f"there is no backup{where}", f"dbops backup run -t {target}")


def unlisted(target: str, repository: int | None, why: str, status: int = 99) -> Finding:
    where = "the backups" if repository is None else f"the backups of repository {repository}"
    return Finding(
        Severity.UNKNOWN, "DBB211", target, f"{where} could not be listed: {why}", _of_status(status, target)
    )


def too_old(target: str, newest: datetime, promised: timedelta, now: datetime) -> Finding | None:
    age = now - newest
    if age <= promised:
        return None
    message = f"the newest backup is {units.duration(age)} old; the objective is {units.duration(promised)}"
    return Finding(Severity.MISSED, "DBB212", target, message, f"dbops backup run -t {target}")


def unrecalled(target: str, why: str) -> Finding:
    message = f"what was verified could not be recalled: {why}"
    return Finding(Severity.WARNING, "DBB213", target, message, "dbops vault list tells whether the vault answers")
