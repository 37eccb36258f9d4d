"""What is left to do after a restore in place; pure.

DBB681 a standby has to be rebuilt · DBB682 a replication slot did not survive · DBB683 the old files lie beside
DBB684 an interrupted one is gone on with · DBB685 the old files of one that was finished earlier lie beside
"""

from collections.abc import Iterator, Sequence

from dbops.engine.finding import Finding, Severity
from dbops.operations.clusters.restore.in_place_facts import Note


def check(note: Note, aside: Sequence[str]) -> Iterator[Finding]:
    for one in note.standbys:
        where = f" at {one.address}" if one.address else ""
        told = f"standby {one.name}{where} followed the old timeline and has to be rebuilt"
        hint = "pg_basebackup, or pgbackrest --type=standby --delta restore, on its host"
        yield Finding(Severity.WARNING, "DBB681", note.target, told, hint)
    for slot in note.slots:
        told = f"{slot.kind} slot {slot.name} was not restored"
        hint = "make it again; a subscriber of a logical one has to be copied anew"
        yield Finding(Severity.WARNING, "DBB682", note.target, told, hint)
    if aside:
        told = f"the cluster of before lies in {', '.join(aside)}"
        yield Finding(Severity.INFO, "DBB683", note.target, told, "remove it when nobody needs the way back any more")


def interrupted(note: Note, way_back: Sequence[str]) -> Finding:
    told = f"a restore in place to {note.wanted} was interrupted and is gone on with; it began {note.since}"
    hint = f"or go back: {' && '.join(way_back)}" if way_back else None
    return Finding(Severity.INFO, "DBB684", note.target, told, hint)


def finished(note: Note, aside: Sequence[str], way_back: Sequence[str]) -> Finding:
    told = f"{what_finished(note)}; the cluster of before it lies in {', '.join(aside)}"
    hint = f"the way back to it: {' && '.join(way_back)}" if way_back else None
    return Finding(Severity.INFO, "DBB685", note.target, told, hint)


def what_finished(note: Note) -> str:
    return f"an earlier restore in place to {note.wanted} was finished; it began {note.since}"
