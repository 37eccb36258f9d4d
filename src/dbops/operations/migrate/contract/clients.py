"""Who is connected just now: looked at again and again through the soak, and kept as evidence."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from dbops.engine.run import Run
from dbops.operations.migrate import record
from dbops.operations.migrate.contract.facts import SAMPLE, Sample
from dbops.operations.migrate.life import Life, Place
from dbops.stores.postgres import Connection

_CONNECTED = """
    SELECT application_name, usename = current_user, count(*) FROM pg_catalog.pg_stat_activity
     WHERE datname = pg_catalog.current_database() AND usename IS NOT NULL AND application_name NOT LIKE 'dbops %'
     GROUP BY 1, 2"""
_OFTEN = timedelta(minutes=30)  # a look that found nobody is not written again before


def look(connection: Connection, patterns: Sequence[str], now: datetime) -> Sample:
    """Count who is connected, by the patterns of old clients."""
    seen = dict.fromkeys(patterns, 0)
    ours = 0
    for name, own, count in connection.execute(_CONNECTED).fetchall():
        ours += count if own else 0
        for pattern in patterns:
            seen[pattern] += count if fnmatchcase(name or "", pattern) else 0
    return Sample(now, tuple(patterns), seen, ours)


def known(life: Life, here: Place) -> tuple[Sample, ...]:
    """Read the looks that the ledger keeps, oldest first."""
    return tuple(
        Sample(one.at, tuple(one.detail.get("patterns", ())), one.detail.get("seen", {}), one.detail.get("ours", 0))
        for one in life.entries
        if one.kind == SAMPLE and one.place == here
    )


def keep(
    connection: Connection, run: Run, sample: Sample, before: Sequence[Sample], *, target: str, change: str
) -> None:
    """Write a look into the ledger, when it tells more than the last one."""
    found = sample.ours or any(sample.seen.values())
    last = before[-1] if before else None
    if found or last is None or last.patterns != sample.patterns or sample.at - last.at >= _OFTEN:
        told = {"patterns": list(sample.patterns), "seen": dict(sample.seen), "ours": sample.ours}
        record.prove(connection, run, target=target, change=change, kind=SAMPLE, evidence=told)
