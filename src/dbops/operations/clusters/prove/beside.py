"""The backup that somebody takes while a repository is verified: no list has it yet, and its files are no strangers."""

import re
from collections.abc import Iterable, Sequence

from dbops.operations.clusters.prove.facts import Fault

_OF_A_SET = re.compile(r"backup/(?P<label>\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)/.+")


def label_of(path: str) -> str | None:
    """Tell in which set's folder a file lies."""
    match = _OF_A_SET.fullmatch(path)
    return None if match is None else match["label"]


def being_taken(strangers: Iterable[Fault], known: Iterable[str], now: Iterable[str], *, running: bool) -> str | None:
    """Name the set that is being taken, or was completed since the list of the sets was read.

    What a backup that was broken off has left is older than the one at work, or there is none at work: it stays a
    stranger.
    """
    unknown = {label for one in strangers if (label := label_of(one.path)) is not None}
    if completed := unknown & set(now):
        return max(completed, key=_began)
    newest = max((_began(label) for label in known), default="")
    young = [label for label in unknown if _began(label) > newest]
    return max(young, key=_began) if running and young else None


def without(strangers: Sequence[Fault], label: str) -> tuple[Fault, ...]:
    return tuple(one for one in strangers if label_of(one.path) != label)


def _began(label: str) -> str:
    return label.rpartition("_")[2]
