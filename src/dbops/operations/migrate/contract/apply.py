"""Do one step of a contraction; a revision that fails takes the leave back that it was given."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import psycopg

from dbops import units
from dbops.config.model import Config
from dbops.engine.plan import Step
from dbops.engine.run import Run
from dbops.errors import DbopsError
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate import record
from dbops.operations.migrate.contract import plan
from dbops.operations.migrate.contract.facts import LEAVE, LEAVE_ENDED, LOOKED, OVERRIDE, Gate
from dbops.stores import databases
from dbops.stores.postgres import Connection

_POINT = "SELECT pg_create_restore_point(%s)::text"


@dataclass(slots=True)
class Doing:
    """What the steps of one contraction share."""

    config: Config
    target: str
    change: str
    run: Run
    connection: Connection
    revise: Callable[[Step[revisions.Action]], None]
    restore_point: str | None = None  # its place in the WAL


def apply(doing: Doing, step: Step[plan.Action]) -> None:
    match step.action:
        case plan.RestorePoint(name):
            with databases.administrator(doing.config, doing.target, doing.run) as connection:
                row = connection.execute(_POINT, (name,)).fetchone()
            doing.restore_point = str(row[0]) if row else None
        case plan.Leave(gates, checksum):
            with doing.connection.transaction():
                prove_overrides(doing.connection, doing.run, gates, target=doing.target, change=doing.change)
                _prove(doing, LEAVE, {**told(gates, checksum), "restore_point": doing.restore_point})
        case plan.Write(path, text):
            write_whole(Path(path), text)
        case plan.Revise(inner):
            _revise(doing, inner)
        case _:
            assert_never(step.action)


def _revise(doing: Doing, step: Step[revisions.Action]) -> None:
    try:
        doing.revise(step)
    except BaseException:
        # where even this fails, the gate of the revision closes by itself after a day
        with suppress(DbopsError, psycopg.Error):
            _prove(doing, LEAVE_ENDED, {"revision": step.id})
        raise


def write_whole(path: Path, text: str) -> None:
    """Appear complete, or not at all: Alembic reads every file of the folder."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def told(gates: tuple[Gate, ...], checksum: str) -> dict[str, Any]:
    """Write gates as evidence."""
    return {
        "plan": checksum,
        "gates": [
            {
                "name": one.name,
                "passed": str(one.passed),
                "evidence": one.evidence,
                "at": units.instant(one.at) if one.at is not None else None,
                "overridden": one.overridden,
            }
            for one in gates
        ],
    }


def prove_overrides(connection: Connection, run: Run, gates: tuple[Gate, ...], *, target: str, change: str) -> None:
    """Keep for ever who went through a closed gate, and why."""
    for one in gates:
        if one.overridden is not None:
            evidence = {
                "gate": one.name,
                "reason": one.overridden,
                "passed": str(one.passed),
                "evidence": one.evidence,
            }
            record.prove(connection, run, target=target, change=change, kind=OVERRIDE, evidence=evidence)


def prove_looked(
    connection: Connection, run: Run, gates: tuple[Gate, ...], checksum: str, *, target: str, change: str
) -> None:
    """Note what the gates were found to be: `status` tells it until somebody looks again."""
    record.prove(connection, run, target=target, change=change, kind=LOOKED, evidence=told(gates, checksum))


def _prove(doing: Doing, kind: str, evidence: dict[str, Any]) -> None:
    where = {"target": doing.target, "change": doing.change}
    record.prove(doing.connection, doing.run, **where, kind=kind, evidence=evidence)
