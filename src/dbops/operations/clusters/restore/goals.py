"""What to restore, as the ways to a moment are chosen."""

from datetime import UTC

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.operations.clusters.reach.continuity import reach
from dbops.operations.clusters.reach.facts import Chosen, Kind, Options, Target
from dbops.operations.clusters.repository import observe
from dbops.operations.clusters.restore.facts import Aim, Goal


def goal(chosen: Chosen, *, promote: bool = True) -> Goal:
    """Turn a chosen way into exactly what pgBackRest is told."""
    told = chosen.options
    aim = Aim(
        label=told.set,
        kind=told.type,
        target=told.target,
        timeline=told.target_timeline,
        exclusive=told.exclusive,
        repository=told.repository,
        promote=promote,
    )
    return Goal(aim, chosen.wanted, chosen.size_bytes, chosen.segments, chosen.notes)


def chosen(config: Config, target: str, wanted: Target, run: Run) -> Chosen:
    """Choose."""
    repository = observe(config.cluster[target], target=target, run=run)
    sets = [
        (b, a)
        for b in repository.stanza.backups
        if (a := repository.archive(b))
        and reach(b, a).complete
        and (wanted.at is None or b.stopped < wanted.at)
        and (wanted.label in {None, b.label})
    ]
    if not sets:
        raise Refused("no set", target=target)
    backup, archive = max(sets, key=lambda one: one[0].stopped)
    kinds: dict[str, Kind] = {"at": "time", "latest": "default", "lsn": "lsn", "xid": "xid", "name": "name"}
    text = wanted.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00") if wanted.at else wanted.value
    options = Options(kinds.get(wanted.kind, "immediate"), backup.label, backup.repository, text)
    return Chosen(
        target,
        wanted.told,
        options,
        backup.label,
        (backup.label,),
        backup.repository,
        1,
        backup.size,
        backup.wal_start or "",
        backup.wal_stop or "",
        archive.count,
        0,
    )
