"""Collect the evidence that the gates of one change are judged by."""

from datetime import datetime

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.operations.migrate import checksum
from dbops.operations.migrate.compare import reading, triggers
from dbops.operations.migrate.compare.facts import COMPARED, work_of
from dbops.operations.migrate.contract import clients, counting, dependants
from dbops.operations.migrate.contract.facts import BASELINE, REHEARSED, Backups, Dependant, Facts, Proof
from dbops.operations.migrate.contract.uses import Old
from dbops.operations.migrate.life import Life, Place, State
from dbops.operations.migrate.open_changes import Work
from dbops.operations.migrate.shapes import retiring
from dbops.operations.migrate.shapes.renamed import RenamedTable
from dbops.stores.postgres import Connection

_CONFLICTS = "SELECT count(*) FROM dbops.conflicts WHERE change = %s AND (%s::timestamptz IS NULL OR at >= %s)"
_OWN = "SELECT oid::bigint, rolname FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)"
_CLOCK = "SELECT clock_timestamp()"


def observe(config: Config, work: Work, run: Run, now: datetime, backups: Backups) -> Facts:
    """Look at the database, its replicas and its ledger."""
    known, change, shape, connection = work.known, work.change, work.shape, work.connection
    target, here = known.target, known.here
    place = config.postgres[target]
    switched = change.life.since_state(State.SWITCHED, here)
    names = shape.old_names()
    found = dependants.find(connection, names) if names is not None else None
    old, needing = _needing(connection, found)
    looks = clients.known(change.life, here)
    elsewhere = clients.on_replicas(config, target, run, here) if switched is not None else clients.NOWHERE
    now = _earlier(connection, now)
    look = clients.look(connection, place.old_clients or (), now, elsewhere=elsewhere)
    if switched is not None:
        clients.keep(connection, run, look, looks, target=target, change=change.id)
    tables = tuple({shape.table, *(one.table for one in shape.comparisons())})
    return Facts(
        target,
        change.id,
        now,
        here,
        change.life.state,
        switched,
        place.soak,
        checksum.of(change.id, shape),
        old,
        compares=bool(shape.comparisons()),
        kept=retiring.retires(shape) or isinstance(shape, RenamedTable),  # no row is lost with a name
        compared=_proof(change.life, COMPARED, here),
        triggers=(digest := triggers.digest(connection, change.id, tables)),
        works=frozenset(work_of(one, digest) for one in work.comparisons),
        conflicts=_conflicts(connection, change.id, switched),
        dependants=needing,
        own_roles=_own_roles(connection),
        baseline=counting.before(_proof(change.life, BASELINE, here)),
        counted=counting.observe(config, target, run) if old is not None else (),
        patterns=place.old_clients,
        samples=(*(one for one in looks if switched is not None and one.at >= switched), look),
        servers=reading.servers(place),
        backups=backups,
        rehearsed=_proof(change.life, REHEARSED, here),
    )


def _needing(connection: Connection, found: tuple[Old, int] | None) -> tuple[Old | None, tuple[Dependant, ...]]:
    if found is None:
        return None, ()
    return found[0], dependants.observe(connection, *found)


def _proof(life: Life, kind: str, here: Place) -> Proof | None:
    one = life.evidence(kind, here)
    return None if one is None else Proof(one.at, one.detail)


def _conflicts(connection: Connection, change: str, since: datetime | None) -> int:
    row = connection.execute(_CONFLICTS, (change, since, since)).fetchone()
    return int(row[0]) if row else 0


def _earlier(connection: Connection, now: datetime) -> datetime:
    """Let no clock of ours that is ahead make evidence older than it is: its times are the server's."""
    row = connection.execute(_CLOCK).fetchone()
    assert row is not None  # noqa: S101
    return min(now, row[0])


def _own_roles(connection: Connection) -> dict[int, str]:
    """Name the role that dbops connects as; an administrator's own statements count as anybody's."""
    rows: list[tuple[int, str]] = connection.execute(_OWN, ([connection.info.user],)).fetchall()
    return dict(rows)
