"""Restores in place that were finished before this one, and whose old cluster is still beside: the way back to it.

A run that is killed when all was done has told nobody so. The same command again is then a restore of its own, and its
own way back leads only to what the first one has made: the rows of before lie in the folders of the first.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dbops.engine.finding import Finding
from dbops.operations.clusters.restore import in_place_check, in_place_notes
from dbops.operations.clusters.restore.in_place_facts import Note
from dbops.operations.clusters.restore.in_place_live import server_in
from dbops.operations.clusters.restore.in_place_plan import way_back


def beside(state_dir: Path, now: Note) -> Iterator[tuple[Note, frozenset[str]]]:
    """Yield each with the paths that have their old folder beside them, the last one first."""
    for note in in_place_notes.finished(state_dir, now.target):
        aside = frozenset(moved.path for moved in note.moved if Path(moved.aside).exists())
        if aside and note.run != now.run:
            yield note, aside


def find(
    state_dir: Path, now: Note, *, account: str | None, under_way: bool, own: Sequence[str] = ()
) -> Iterator[Finding]:
    """Tell the whole way back to each. `own` undoes the one that is under way, which has to come first."""
    running = bool(own) or server_in(Path(now.data)) is not None
    for note, aside in beside(state_dir, now):
        lines: tuple[str, ...] = ()
        # What --delta has begun to write over has to be finished, and half of the folders make no cluster.
        if not (under_way and now.delta) and len(aside) == len(note.moved) and note.data == now.data:
            lines = (*own, *way_back(note, account=account, running=running, aside=aside))
        yield in_place_check.finished(note, sorted(moved.aside for moved in note.moved if moved.path in aside), lines)
