"""What migrations/env.py needs: a connection as the owner of the target's database, and what is none of its business.

`dbops migrate` hands its own connection over; a bare `alembic -n TARGET upgrade head` gets one by dbops.toml.
"""

from collections.abc import Callable, Generator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import psycopg
import sqlalchemy as sa
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.pool import NullPool

from dbops.config.load import load
from dbops.engine import run as running
from dbops.engine.run import Run, application_name
from dbops.errors import DbopsError, UsageError
from dbops.operations.migrate import concurrently, drift, record
from dbops.operations.migrate.life import State
from dbops.stores import ledger, postgres

HELD = "connection"  # the attribute under which dbops hands its own connection to Alembic
SETTINGS = {
    "search_path": "public",
    "app.migration_mode": "true",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "client_min_messages": "warning",
    "quote_all_identifiers": "off",
    "lock_timeout": "4s",  # the application never waits for us; `dbops migrate up` tries again, with a ramp
    "statement_timeout": "0",  # of the role: it is meant for an application
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "0",  # it idles while others' steps are done, and between two tries
    "client_connection_check_interval": "5s",
}


@contextmanager
def connection(config: Config, given: Mapping[str, str]) -> Generator[sa.Connection]:
    """Connect to the target that the section is named after."""
    if (held := config.attributes.get(HELD)) is not None:
        yield held
        return
    try:
        dsn = given.get("dsn") or _dsn(config.config_ini_section)
    except DbopsError as error:
        raise CommandError(f"{error.message}\n  -> {error.hint}") from error  # told by Alembic without a traceback
    with open_connection(dsn, running.new("alembic", Path("/nonexistent"))) as opened:  # it writes no journal
        yield opened


def _dsn(target: str) -> str:
    loaded = load(None, changing=True)
    place = loaded.config.postgres.get(target)
    if place is None:
        raise UsageError(
            f"there is no [postgres.{target}] in {loaded.path}", hint="alembic -n TARGET, or -x dsn='host=...'"
        )
    return postgres.dsn(place, target=target)


@contextmanager
def open_connection(dsn: str, run: Run) -> Generator[sa.Connection]:
    """Open a connection with the settings of migrations, in no transaction."""

    def connect() -> psycopg.Connection[Any]:
        name, encoding = application_name(run), postgres.ENCODING
        raw = psycopg.connect(dsn, application_name=name, client_encoding=encoding, autocommit=True)
        for name, value in SETTINGS.items():
            raw.execute("SELECT set_config(%s, %s, false)", (name, value))
        raw.autocommit = False
        return raw

    engine = sa.create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    concurrently.attend(engine)
    try:
        with engine.connect() as opened:
            yield opened
    finally:
        engine.dispose()


def raw(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return the psycopg connection beneath."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101
    return cast("psycopg.Connection[Any]", driver)


def is_ours(
    name: str | None,
    kind: Literal[
        "schema",
        "table",
        "column",
        "index",
        "unique_constraint",
        "foreign_key_constraint",
    ],
    parents: MutableMapping[Any, str | None],
) -> bool:
    """Keep autogenerate away from what dbops itself keeps in the database."""
    del parents
    return kind != "schema" or name not in {"dbops", "dbops_attic"}


def told(connection: sa.Connection) -> Callable[..., None]:
    """Write each revision into the ledger, in the transaction of the revision, where there is a ledger."""
    run: Run | None = connection.info.get("dbops_run")
    target: str = connection.info.get("dbops_target", "-")

    def apply(*, step: Any, heads: Any, **_: Any) -> None:
        del heads
        if run is None:
            return
        kind = "migrated" if step.is_upgrade else "taken back"
        revision = step.up_revision_id if step.is_upgrade else ", ".join(step.down_revision_ids) or "base"
        detail = {"revision": revision, "stamp": bool(step.is_stamp)}
        ledger.write(raw(connection), run, target=target, subject="schema", kind=kind, detail=detail)
        if state := _state_after(module := step.up_revision.module, upgrade=step.is_upgrade):
            evidence: dict[str, Any] = {"revision": step.up_revision.revision}
            if state is State.EXPANDED and (shape := getattr(module, "shape", None)) is not None:
                evidence[drift.OBJECTS] = drift.fingerprint(raw(connection), module.change, shape)
            record.write(raw(connection), run, target=target, change=module.change, state=state, evidence=evidence)

    return apply


def _state_after(module: Any, *, upgrade: bool) -> State | None:
    """Tell what a revision makes of the change that it is a phase of."""
    if getattr(module, "change", None) is None:
        return None
    match getattr(module, "phase", None), upgrade:
        case "expand", True:
            return State.EXPANDED
        case "contract", True:
            return State.CONTRACTED
        case "contract", False:  # what was put out of the way is back
            return State.SWITCHED
        case ("expand", False) | ("rollback", True):
            return State.ROLLED_BACK
        case _:
            return None
