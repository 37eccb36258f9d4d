"""A server that counts statements, for what is judged by them."""

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from conftest import fresh
from dbops.servers import postgres as pg

_PASSWORD = "counted"
_SETTINGS = (("shared_preload_libraries", "pg_stat_statements"), ("compute_query_id", "on"))


@pytest.fixture(scope="session")
def counting(base: Path) -> Generator[str]:
    """A PostgreSQL server with pg_stat_statements: the conninfo of its superuser. New databases have the extension."""
    server = pg.Server(fresh(base, "counting"), durable=False, wal_segment_mb=1, settings=_SETTINGS)
    with pg.running(server, _PASSWORD) as live:
        conninfo = pg.conninfo(live, password=_PASSWORD)
        with psycopg.connect(pg.conninfo(live, password=_PASSWORD, dbname="template1"), autocommit=True) as template:
            template.execute("CREATE EXTENSION pg_stat_statements")
        yield conninfo
