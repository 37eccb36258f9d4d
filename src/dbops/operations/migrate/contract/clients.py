"""Who is connected just now: looked at again and again through the soak, on every server, and kept as evidence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped
from dbops.operations.migrate import record
from dbops.operations.migrate.compare import reading
from dbops.operations.migrate.contract.facts import PRIMARY, SAMPLE, Sample
from dbops.operations.migrate.life import Life, Place
from dbops.stores.postgres import Connection

_CONNECTED = """
    SELECT application_name, usename = current_user, count(*) FROM pg_catalog.pg_stat_activity
     WHERE datname = pg_catalog.current_database() AND usename IS NOT NULL AND application_name NOT LIKE 'dbops %'
     GROUP BY 1, 2"""
_OFTEN = timedelta(minutes=30)  # a look that found nobody is not written again before
_PATIENCE = timedelta(seconds=5)

Connected = Iterable[tuple[str | None, bool, int]]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the replicas of a target tell, and why some of them could not be asked."""

    connected: Mapping[str, Connected] = field(default_factory=dict[str, Connected])
    missed: Mapping[str, str] = field(default_factory=dict[str, str])


NOWHERE = Elsewhere()


def on_replicas(config: Config, target: str, run: Run, here: Place) -> Elsewhere:
    """Ask each replica who is connected there: the primary knows nothing of them."""
    connected: dict[str, Connected] = {}
    missed: dict[str, str] = {}
    for server in reading.servers(config.postgres[target])[1:]:
        try:
            with reading.opened(config, target, run, server, here, connect_timeout=_PATIENCE) as connection:
                connected[server] = connection.execute(_CONNECTED).fetchall()
        except Stopped:
            raise
        except DbopsError as error:
            missed[server] = error.message
    return Elsewhere(connected, missed)


def look(connection: Connection, patterns: Sequence[str], now: datetime, *, elsewhere: Elsewhere = NOWHERE) -> Sample:
    """Count who is connected, on the primary and elsewhere, by the patterns of old clients."""
    seen = dict.fromkeys(patterns, 0)
    ours = 0
    everywhere = {PRIMARY: connection.execute(_CONNECTED).fetchall(), **elsewhere.connected}
    for name, own, count in (row for rows in everywhere.values() for row in rows):
        ours += count if own else 0
        for pattern in patterns:
            seen[pattern] += count if fnmatchcase(name or "", pattern) else 0
    return Sample(now, tuple(patterns), seen, ours, tuple(everywhere), elsewhere.missed)


def known(life: Life, here: Place) -> tuple[Sample, ...]:
    """Read the looks that the ledger keeps, oldest first."""
    return tuple(
        Sample(
            one.at,
            tuple(one.detail.get("patterns", ())),
            one.detail.get("seen", {}),
            one.detail.get("ours", 0),
            tuple(one.detail.get("servers", (PRIMARY,))),
        )
        for one in life.entries
        if one.kind == SAMPLE and one.place == here
    )


def keep(
    connection: Connection, run: Run, sample: Sample, before: Sequence[Sample], *, target: str, change: str
) -> None:
    """Write a look into the ledger, when it tells more than the last one."""
    found = sample.ours or any(sample.seen.values())
    last = before[-1] if before else None
    alike = last is not None and (last.patterns, last.servers) == (sample.patterns, sample.servers)
    if found or last is None or not alike or sample.at - last.at >= _OFTEN:
        told = {
            "patterns": list(sample.patterns),
            "seen": dict(sample.seen),
            "ours": sample.ours,
            "servers": list(sample.servers),
        }
        record.prove(connection, run, target=target, change=change, kind=SAMPLE, evidence=told)
