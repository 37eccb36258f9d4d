"""The statements of a history as Alembic emits them, each with the transaction that it is to run in."""

import re
from dataclasses import dataclass
from pathlib import Path

from dbops.operations.migrate import effects, history

_RUNNING = re.compile(r"^-- Running upgrade (?:\S* -> )?(\S+?),?(?: .*)?$", re.MULTILINE)
_WORD = re.compile(r"\s*(BEGIN|COMMIT)\s*$")


@dataclass(frozen=True, slots=True)
class Written:
    """A statement of a revision."""

    revision: str
    number: int
    text: str
    transaction: int | None


def read(place: Path, section: str, target: str, *, first: str | None, last: str = "head") -> dict[str, list[Written]]:
    """Read the revisions after `first`, oldest first."""
    return cut(history.script(place, section, first=first, last=last, target=target))


def cut(script: str) -> dict[str, list[Written]]:
    _, *parts = _RUNNING.split(script)
    return {revision: _written(revision, text) for revision, text in zip(parts[::2], parts[1::2], strict=True)}


def _written(revision: str, text: str) -> list[Written]:
    found: list[Written] = []
    transaction, within = 0, True
    for one in effects.split(text):
        if word := _WORD.match(one):
            within = word[1] == "BEGIN"
            transaction += within
        elif not effects.is_bookkeeping(one):
            found.append(Written(revision, len(found) + 1, one, transaction if within else None))
    return found
