"""What pg_stat_statements has counted, on the primary and on each replica: what is called later is seen against it.

Each server counts for itself, and forgets by itself: `reset` and `dealloc` tell whether two looks can be compared.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.operations.migrate.compare import reading
from dbops.operations.migrate.contract import counting
from dbops.operations.migrate.contract.facts import Counted
from dbops.stores.postgres import Connection


def look_at(config: Config, target: str, run: Run) -> dict[str, Counted]:
    """Read every server of a target; one that cannot be read is told, and counts for nothing."""
    return {one.server: one for one in counting.observe(config, target, run)}


def take(connection: Connection, server: str = reading.PRIMARY) -> dict[str, Any]:
    """Take the baseline of one server, as evidence."""
    return told(counting.count(connection, server))


def told(seen: Counted) -> dict[str, Any]:
    """Write what was seen as evidence: for each statement its role, its id, its calls, and the hash of its text."""
    if seen.problem is not None:
        return {"problem": seen.problem}
    return {
        "reset": seen.reset.isoformat() if seen.reset is not None else None,
        "dealloc": seen.dealloc,
        "calls": [[one.user, one.query, one.calls, _hash(one.text or "")] for one in seen.statements],
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def due(known: Mapping[str, Any] | None, now: Mapping[str, Counted]) -> str | None:
    """Tell why the baseline has to be taken anew; None: what is called since can be told from it."""
    if known is None:
        return "no baseline was taken since the switch"
    before: Mapping[str, Any] = known.get("servers", {})
    for server, seen in now.items():
        there = before.get(server)
        if there is None:
            return f"{server} is not in the baseline"
        if seen.problem is not None:
            continue
        if "problem" in there:
            return f"{server} could not be read when the baseline was taken"
        reset = seen.reset.isoformat() if seen.reset is not None else None
        if (there["reset"], there["dealloc"]) != (reset, seen.dealloc):
            return f"{server} has forgotten what it had counted"
    return None
