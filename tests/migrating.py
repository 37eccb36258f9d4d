"""Histories for tests: the project's own, run against a database that the test names by a conninfo."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command

from dbops.engine import run as running
from dbops.operations.migrate import catalog, environment, history
from dbops.operations.migrate.catalog import Catalog

FOLDER = Path(__file__).parents[1] / "migrations"
EXPECTED = Path(__file__).parent / "expected"
TARGETS = tuple(sorted(path.stem for path in EXPECTED.glob("*.json")))


def upgrade(conninfo: str, target: str, to: str = "head") -> None:
    _run(conninfo, target, "upgrade", to)


def downgrade(conninfo: str, target: str, to: str = "base") -> None:
    _run(conninfo, target, "downgrade", to)


def _run(conninfo: str, target: str, way: str, to: str) -> None:
    with environment.open_connection(conninfo, running.new("tests", FOLDER)) as connection:
        config = history.alembic(FOLDER, target)
        config.attributes[environment.HELD] = connection
        getattr(command, way)(config, to)


def catalog_of(conninfo: str, *, comments: bool = False) -> Catalog:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return catalog.observe(connection, comments=comments)


def expected(target: str) -> Catalog:
    """Return the catalog that the whole history of a target has to lead to."""
    return json.loads((EXPECTED / f"{target}.json").read_text(encoding="utf-8"))


@contextmanager
def rows(conninfo: str) -> Generator[psycopg.Connection]:
    """Connect as the superuser whom no row security binds."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection
