"""What a comparison means.

DBM401 rows differ · DBM402 rows could not be compared · DBM403 the triggers were changed meanwhile · DBM405 nothing
tells of the way back
"""

from collections.abc import Iterator, Sequence

from dbops.engine.finding import Finding, Severity
from dbops.operations.migrate.compare.facts import SHOWN, Outcome, clean
from dbops.operations.migrate.life import Life, State

MAY_VERIFY = frozenset({State.EXPANDED, State.BACKFILLED, State.VERIFIED, State.SWITCHED})


def findings(target: str, change: str, outcomes: Sequence[Outcome], *, same_triggers: bool) -> Iterator[Finding]:
    for one in outcomes:
        way = "old and new" if one.way == "forward" else "new and old (the way back)"
        if one.differ:
            message = f"{one.differ:,} of {one.rows:,} rows of {one.table} differ between {way}: {_some(one.keys)}"
            hint = "dbops migrate backfill fills what is missing; a row that stays is a conflict, or `up` is wrong"
            yield Finding(Severity.BAD, "DBM401", target, message, hint)
        if one.unreadable:
            message = f"{one.unreadable:,} rows of {one.table} could not be compared ({way}): {_some(one.unread)}"
            hint = "correct these rows, or the expressions of the change; then verify again"
            yield Finding(Severity.UNKNOWN, "DBM402", target, message, hint)
    if not same_triggers:
        message = f"the triggers of change {change} were changed while it was verified"
        hint = f"dbops migrate verify {change} --target {target}"
        yield Finding(Severity.UNKNOWN, "DBM403", target, message, hint)
    if outcomes and not any(one.way == "back" for one in outcomes):
        message = f"change {change} has no comparison for the way back: only the forward direction is proven"
        yield Finding(Severity.INFO, "DBM405", target, message)


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return "; ".join(names[:SHOWN]) + ("; and more" if more > 0 else "")


def state_after(life: Life, outcomes: Sequence[Outcome], *, same_triggers: bool) -> State | None:
    """Tell what becomes of the change; None: it stays what it is."""
    if clean(outcomes) and same_triggers:
        if life.state is State.SWITCHED:
            return State.SWITCHED if life.elsewhere else None  # known again, now here; the soak begins anew
        return State.VERIFIED
    differ = any(one.differ for one in outcomes)
    return State.BACKFILLED if differ and life.state is State.VERIFIED and not life.elsewhere else None
