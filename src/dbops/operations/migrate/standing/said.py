"""What the entries of the ledger say of a change, in words. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dbops import units
from dbops.operations.migrate.compare.facts import COMPARED
from dbops.operations.migrate.contract.facts import LEAVE, LEAVE_ENDED, LOOKED, OVERRIDE, REHEARSED
from dbops.operations.migrate.life import STATE

_LONG = frozenset({"objects", "calls", "servers"})


def gates(detail: Mapping[str, Any]) -> dict[str, str]:
    """Read what gates were found to be; one that was overridden is as it was found."""
    found: list[dict[str, Any]] = detail.get("gates", [])
    return {str(one["name"]): str(one["passed"]) for one in found}


def event(kind: str, detail: Mapping[str, Any]) -> str | None:
    """Say what an entry tells; None for looks of which only the last one counts."""
    match kind:
        case _ if kind == STATE:
            revision = f" by revision {detail['revision']}" if "revision" in detail else ""
            return f"{detail.get('state')}{revision}"
        case _ if kind == OVERRIDE:
            was = f", which was {detail['passed']}" if "passed" in detail else ""
            return f"gate {detail.get('gate')}{was}, overridden: {detail.get('reason')}"
        case _ if kind == COMPARED:
            return _compared(detail)
        case _ if kind == LEAVE:
            return f"leave to contract, plan {str(detail.get('plan', ''))[:12]}"
        case _ if kind == LEAVE_ENDED:
            return "leave to contract taken back: the revision failed"
        case _ if kind == REHEARSED:
            failed = "" if detail.get("ok") is True else ", and it failed"
            return f"rehearsed{_took(detail.get('took_ms'))}{failed}, plan {str(detail.get('plan', ''))[:12]}"
        case _ if kind == LOOKED:
            return None
        case "readers":
            return f"{detail.get('percent')} % of the readers follow"
        case "baseline":
            return "statements counted up to here"
        case _:
            return None


def _compared(detail: Mapping[str, Any]) -> str:
    ways: list[dict[str, Any]] = detail.get("ways", [])
    rows, differ = sum(one.get("rows", 0) for one in ways), sum(one.get("differ", 0) for one in ways)
    outcome = "clean" if detail.get("clean") else f"{differ:,} differ" if detail.get("complete") else "incomplete"
    return f"compared {rows:,} rows: {outcome}"


def _took(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f" took {_span(milliseconds)}"


def _span(milliseconds: float) -> str:
    return units.duration(timedelta(milliseconds=milliseconds))


def detail(found: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only machines compare."""
    return {name: value for name, value in found.items() if name not in _LONG}
