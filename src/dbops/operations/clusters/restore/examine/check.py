"""Judge a restored cluster; pure.

DBB601 foreign servers came along: a query there reaches what they lead to      info
DBB602 subscriptions came along, and do not run                                 info
DBB603 jobs of pg_cron came along, and do not run                               info
DBB610 a table cannot be read                                                   bad, or unknown when it is not corrupt
DBB611 an index does not agree with its table                                   bad, or unknown when it is not corrupt
DBB612 indexes were not checked: there is no amcheck                            unknown
DBB613 an index is invalid                                                      warning
DBB614 a sequence is behind its column                                          warning
DBB615 a materialized view is not populated                                     warning
DBB616 collations have another version here                                     warning
DBB617 an extension is not installed on this host                               warning
DBB618 roles differ from the live cluster's                                     warning
DBB619 row security differs from the live cluster's                             warning
DBB620 roles and row security were not compared: the live cluster is away       info
DBB621 there are no tables: nothing was proved                                  unknown
"""

from collections.abc import Iterable, Iterator

from dbops.engine.finding import Finding, Severity
from dbops.operations.clusters.restore.examine.facts import Brought, Examined, Live, Names, Problem

_SHOWN = 5


def harmless(target: str, brought: Brought) -> list[Finding]:
    """Tell what came along that a query, or somebody's change, could wake."""
    found: list[Finding] = []
    if brought.foreign:
        message = f"foreign servers came along: {_named(brought.foreign)}"
        found.append(_finding(Severity.INFO, "DBB601", target, message, "a query there reaches what they lead to"))
    if brought.subscriptions:
        message = f"subscriptions came along, and do not run: {_named(brought.subscriptions)}"
        found.append(_finding(Severity.INFO, "DBB602", target, message))
    if brought.jobs:
        jobs = ", ".join(f"{many} in {name}" for name, many in brought.jobs)
        found.append(_finding(Severity.INFO, "DBB603", target, f"jobs of pg_cron came along, and do not run: {jobs}"))
    return found


def check(target: str, found: Examined, live: Live) -> list[Finding]:
    """Judge what was looked at."""
    return [
        *_content(target, found),
        *_lists(target, found),
        *_against(target, found, live),
    ]


def _content(target: str, found: Examined) -> Iterator[Finding]:
    for table in found.tables:
        if table.problem is not None:
            message = f"{table.database}: {table.name} cannot be read: {table.problem.message}"
            yield _finding(_severity(table.problem), "DBB610", target, message)
    for index in found.bad:
        message = f"{index.database}: index {index.name} does not pass amcheck: {index.problem.message}"
        yield _finding(_severity(index.problem), "DBB611", target, message)
    for database, why in found.unchecked:
        message = f"{database}: indexes were not checked: {why}"
        yield _finding(Severity.UNKNOWN, "DBB612", target, message, "install the contrib package of this PostgreSQL")
    if not found.tables:
        message = "no database has a table: that anything was restored is not proved"
        yield _finding(Severity.UNKNOWN, "DBB621", target, message)


def _lists(target: str, found: Examined) -> Iterator[Finding]:
    for one in found.behind:
        message = f"{one.database}: sequence {one.sequence} stands at {one.last}, and {one.column} holds {one.highest}"
        hint = f"SELECT setval('{one.sequence}', {one.highest})"
        yield _finding(Severity.WARNING, "DBB614", target, message, hint)
    told = (
        ("DBB613", found.invalid, "invalid indexes", "REINDEX INDEX CONCURRENTLY, or drop them"),
        ("DBB615", found.unpopulated, "materialized views that hold nothing yet", "REFRESH MATERIALIZED VIEW"),
        ("DBB616", found.collations, "collations of another version than on this host", "REINDEX what sorts by them"),
        ("DBB617", found.extensions, "extensions that this host does not have", "install their packages"),
    )
    for code, names, what, hint in told:
        if names:
            yield _finding(Severity.WARNING, code, target, f"{what}: {_named(names)}", hint)


def _against(target: str, found: Examined, live: Live) -> Iterator[Finding]:
    if live.why_not is not None:
        message = f"roles and row security were not compared with the live cluster: {live.why_not}"
        yield _finding(Severity.INFO, "DBB620", target, message)
        return
    gone, fresh = sorted({*live.roles} - {*found.roles}), sorted({*found.roles} - {*live.roles})
    if gone or fresh:
        told = [f"without {_some(gone)}"] if gone else []
        told += [f"with {_some(fresh)}, which the live one does not have"] if fresh else []
        message = f"the restored cluster is {' and '.join(told)}"
        yield _finding(Severity.WARNING, "DBB618", target, message, "dbops roles plan shows what to do after a restore")
    now = {(one.database, one.table): one for one in live.security}
    differs = [
        f"{one.database}: {one.table}"
        for one in found.security
        if (other := now.get((one.database, one.table))) is not None and other != one
    ]
    if differs:
        message = f"row security is not as it is in the live cluster: {_some(differs)}"
        yield _finding(Severity.WARNING, "DBB619", target, message, "dbops roles plan shows what to do after a restore")


def _severity(problem: Problem) -> Severity:
    return Severity.BAD if problem.corrupt else Severity.UNKNOWN


def _named(names: Names) -> str:
    return _some([f"{database}: {name}" for database, name in names])


def _some(names: Iterable[str]) -> str:
    told = list(names)
    return ", ".join(told[:_SHOWN]) + (f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")


def _finding(severity: Severity, code: str, target: str, message: str, hint: str | None = None) -> Finding:
    return Finding(severity, code, target, message, hint)
