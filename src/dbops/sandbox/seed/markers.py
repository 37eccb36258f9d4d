"""What the ledger knows of a seed: which part of which target was filled, by which one.

Tables have their markers beside their rows. Containers and indexes have theirs in the ledger of the platform: one
before the first write, so that what a killed run left is known as our own, and one behind the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbops.engine.run import Run
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_SUBJECT = "seed"
_BEGUN, _FILLED = "seed begun", "seed filled"
_READ = """
    SELECT kind, detail ->> 'part', detail ->> 'seed' FROM dbops.entries
     WHERE target = %s AND subject = %s ORDER BY id"""


@dataclass(frozen=True, slots=True)
class Told:
    begun: Mapping[str, str] = field(default_factory=dict[str, str])
    filled: Mapping[str, str] = field(default_factory=dict[str, str])


def read(connection: Connection, *, target: str) -> Told:
    begun: dict[str, str] = {}
    filled: dict[str, str] = {}
    for kind, part, seed in connection.execute(_READ, (target, _SUBJECT)).fetchall():
        if kind == _BEGUN:
            begun[part] = seed
            filled.pop(part, None)  # whoever begins again has found it empty
        else:
            filled[part] = seed
    return Told(begun, filled)


def write_begun(connection: Connection, run: Run, part: str, *, target: str, seed: str) -> None:
    _write(connection, run, part, target, seed, _BEGUN, 0)


def write_filled(connection: Connection, run: Run, part: str, *, target: str, seed: str, rows: int) -> None:
    _write(connection, run, part, target, seed, _FILLED, rows)


def _write(connection: Connection, run: Run, part: str, target: str, seed: str, kind: str, rows: int) -> None:  # noqa: PLR0917
    detail = {"part": part, "seed": seed, "rows": rows}
    ledger.write(connection, run, target=target, subject=_SUBJECT, kind=kind, detail=detail)
