"""Hold what a restore reached against what was planned; pure.

DBB604 the copy holds commits that were not to be there, or lacks some that were   bad
DBB605 the result could not be remembered beside the backups                       warning
DBB606 a scratch copy that nobody needs any more could not be removed              warning
DBB607 a scratch copy that nobody needs any more was removed                       info
"""

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.errors import DbopsError
from dbops.operations.clusters.restore.facts import Goal, Truth


def reached(target: str, goal: Goal, truth: Truth) -> list[Finding]:
    """Compare the newest transaction that was replayed with those that were seen around the target before."""
    last = truth.last_commit
    if goal.after is not None and last is not None and last >= goal.after:
        told = f"it replayed a transaction of {units.instant(last)}, which comes after {goal.wanted}"
        return [Finding(Severity.BAD, "DBB604", target, told)]
    if goal.before is not None and last is not None and last < goal.before:
        told = f"its last transaction is of {units.instant(last)}, and one of {units.instant(goal.before)} was expected"
        return [Finding(Severity.BAD, "DBB604", target, told)]
    return []


def unremembered(target: str, why: str) -> Finding:
    message = f"the result could not be kept beside the backups: {why}"
    hint = "the restore itself is as told; 'dbops backup list' will not show it"
    return Finding(Severity.WARNING, "DBB605", target, message, hint)


def unremoved(target: str, what: str, error: Exception) -> Finding:
    why = error.message if isinstance(error, DbopsError) else str(error)
    hint = "dbops pitr clean tries it again"
    return Finding(Severity.WARNING, "DBB606", target, f"{what} could not be removed: {why}", hint)


def removed(target: str, told: str) -> Finding:
    return Finding(Severity.INFO, "DBB607", target, told)
