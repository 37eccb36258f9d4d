"""What keeps a backfill from beginning, what holds it while it goes, and what a failed batch means; pure.

DBM301  the batch plan reads the whole table
DBM302  a signal could not be observed
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.errors import Refused, UsageError
from dbops.operations.migrate.backfill.facts import LIMITS, SLOWS, UNITS, Facts, Firing, Signal, Trigger, Wanted
from dbops.operations.migrate.life import State

READS_ALL = "DBM301"
UNSEEN = "DBM302"
_SOME = 5
# Classes of SQLSTATE that tell of a row, not of the statement or the server.
_OF_A_ROW = frozenset({"20", "21", "22", "23", "27", "2F", "38", "39", "44", "54", "P0"})
_IN_THE_WAY = frozenset({"40001", "40P01", "55P03", "57014"})


class Failure(Enum):
    """What a failed batch calls for."""

    ROW = auto()  # some row of it: halve, down to the row
    BUSY = auto()  # others hold rows, or it took too long: smaller, and again
    FATAL = auto()


def failure(sqlstate: str | None) -> Failure:
    if sqlstate is None:
        return Failure.FATAL
    if sqlstate in _IN_THE_WAY:
        return Failure.BUSY
    return Failure.ROW if sqlstate[:2] in _OF_A_ROW else Failure.FATAL


def refusal(facts: Facts, wanted: Wanted) -> Refused | None:
    """Say why it may not begin."""
    if facts.paused_by is not None:
        return Refused(
            f"the backfill of {facts.change} is paused by {facts.paused_by}",
            hint=f"dbops migrate backfill {facts.change} --target {facts.target} --resume",
            target=facts.target,
        )
    here = not facts.life.elsewhere
    if here and facts.life.state is State.SWITCHED and (wanted.again or not facts.complete):
        return Refused(
            f"readers of {facts.change} use the new already: filling it again could undo what they see",
            hint=f"dbops migrate rollback {facts.change} --target {facts.target} goes back first",
            target=facts.target,
        )
    if facts.triggers and wanted.firing is None:
        return _undecided(facts)
    if wanted.firing is Firing.SUPPRESS and facts.suppressing is None:
        return Refused(
            "neither the owner nor the cluster's administrator may set session_replication_role",
            hint="GRANT SET ON PARAMETER session_replication_role TO the owner (PostgreSQL 15), or --triggers fire",
            target=facts.target,
        )
    return None


def _undecided(facts: Facts) -> Refused:
    told = "; ".join(trigger_told(one) for one in facts.triggers)
    rows = f"about {facts.table.rows} times" if facts.table.rows is not None else "once for each row"
    return Refused(
        f"each row that is filled fires triggers of {facts.filling.writes}, {rows}: {told}",
        hint="choose: --triggers fire (they do what they do for any UPDATE), or --triggers suppress (audit rows and"
        " stamps stay as they are)",
        target=facts.target,
    )


def trigger_told(one: Trigger) -> str:
    when = f" when {', '.join(one.columns)} is set" if one.columns else ""
    always = ", also where triggers are suppressed" if one.always else ""
    return f"{one.name} on {one.table} calls {one.function}{when}{always}"


def limits(given: Iterable[str]) -> dict[str, float | None]:
    """Read NAME=LIMIT, with `off` for none."""
    chosen = dict(LIMITS)
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or name not in LIMITS or name == "throttle-sql":
            names = ", ".join(known for known in LIMITS if known != "throttle-sql")
            raise UsageError(f"--throttle {one!r} is no NAME=LIMIT", hint=f"NAME is one of {names}; or NAME=off")
        chosen[name] = None if text == "off" else _limit(name, text)
    return chosen


def _limit(name: str, text: str) -> float:
    try:
        match UNITS.get(name):
            case "s":
                return units.parse_duration(text).total_seconds()
            case "B" | "B/s":
                return float(units.parse_size(text.removesuffix("/s")))
            case "%":
                return float(text.removesuffix("%")) / 100
            case _:
                return float(text)
    except ValueError as error:
        raise UsageError(f"--throttle {name}: {error}", hint="as replica-lag=5s, slot-wal=1GB, dead-rows=40%") from None


def gives_way(limits_: Mapping[str, float | None]) -> str:
    """Tell all limits, for the preview."""
    return ", ".join(f"{name} > {_shown(name, limit)}" for name, limit in limits_.items() if limit is not None)


def holding(signals: Sequence[Signal]) -> tuple[str, ...]:
    """Tell what holds the next batch: name, value and limit."""
    return tuple(told(one) for one in signals if one.over and one.name not in SLOWS)


def slowing(signals: Sequence[Signal]) -> bool:
    return any(one.over for one in signals if one.name in SLOWS)


def told(one: Signal) -> str:
    value = "not observed" if one.value is None else _shown(one.name, one.value)
    sign = ">" if one.over else "of"
    return f"{one.name} {value}" + ("" if one.limit is None else f" {sign} {_shown(one.name, one.limit)}")


def _shown(name: str, value: float) -> str:
    match UNITS.get(name):
        case "s":
            return f"{value:.1f} s"
        case "B":
            return units.size(int(value))
        case "B/s":
            return f"{units.size(int(value))}/s"
        case "%":
            return f"{value * 100:.0f} %"
        case _:
            return f"{value:g}"


def unseen(target: str, signals: Sequence[Signal]) -> list[Finding]:
    names = [one.name for one in signals if one.value is None and one.limit is not None]
    if not names:
        return []
    return [
        Finding(
            Severity.INFO,
            UNSEEN,
            target,
            f"no throttle by {', '.join(names)}: it could not be observed",
            "let [cluster.NAME] dsn lead to a role with pg_monitor",
        )
    ]


def reads_all(node: Mapping[str, Any]) -> bool:
    """Look through the plan of a batch: the rows that it walks are `r`, and its parts `r_1`, `r_2`, ..."""
    if node.get("Node Type") == "Seq Scan" and str(node.get("Alias", "")).partition("_")[0] == "r":
        return True
    return any(reads_all(one) for one in node.get("Plans", ()))


def scans(target: str, table: str) -> Finding:
    return Finding(
        Severity.WARNING,
        READS_ALL,
        target,
        f"each batch reads the whole of {table}: its plan has a Seq Scan",
        f"ANALYZE {table}; is the index of its key valid?",
    )


def rows_set_aside(target: str, change: str, count: int, some: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Tell which rows could not be filled, by their keys, and what to do."""
    told = "; ".join(f"{key}: {reason}" for key, reason in some[:_SOME])
    more = f"; and {count - _SOME} more" if count > _SOME else ""
    message = f"{units.counted(count, 'row')} could not be filled: {told}{more}"
    return message, f"correct them, then: dbops migrate backfill {change} --target {target} (it tries them first)"
