"""What a rehearsal means.

DBM601 a phase failed on the copy · DBM602 transactions of the load beside it failed · DBM603 a table was rewritten
"""

from collections.abc import Iterator, Sequence

from dbops.engine.finding import Finding, Severity
from dbops.operations.migrate.rehearse.facts import Phase


def good(phases: Sequence[Phase]) -> bool:
    return not any(one.error is not None or one.load.failed for one in phases)


def findings(target: str, phases: Sequence[Phase]) -> Iterator[Finding]:
    """Tell what would hurt in production too."""
    for one in phases:
        if one.error is not None:
            message = f"{one.name} failed on the copy: {one.error}"
            yield Finding(Severity.BAD, "DBM601", target, message, "correct the change, then rehearse it again")
        if one.load.failed:
            some = ", ".join(f"{count} with SQLSTATE {state}" for state, count in sorted(one.load.failures.items()))
            message = f"{one.load.failed:,} transactions of the load failed beside {one.name}: {some}"
            yield Finding(Severity.BAD, "DBM602", target, message, "an application would have met the same")
        if one.rewritten:
            message = f"{one.name} rewrites {', '.join(one.rewritten)}: nobody can use it meanwhile"
            hint = "dbops migrate lint tells which statement does, and how it is done without"
            yield Finding(Severity.WARNING, "DBM603", target, message, hint)
