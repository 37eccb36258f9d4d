"""One row for each database: its size, its schema's head, whether it has a ledger."""

from datetime import timedelta

from dbops.across.status.facts import Status
from dbops.config.model import Postgres
from dbops.engine import clock
from dbops.engine.run import Run
from dbops.stores import postgres

_DATABASE = """
    SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS size_bytes,
           pg_is_in_recovery() AS standby, to_regclass('public.alembic_version') IS NOT NULL AS migrated,
           to_regnamespace('dbops') IS NOT NULL AS ledger"""


def look(name: str, place: Postgres, run: Run, deadline: timedelta) -> Status:
    began = clock.monotonic()
    with postgres.connect(place, run, target=name, statement_timeout=deadline, connect_timeout=deadline) as connection:
        row = postgres.record(connection, _DATABASE)
        latency = timedelta(seconds=clock.monotonic() - began)
        head = postgres.record(connection, "SELECT version_num FROM public.alembic_version") if row["migrated"] else {}
    facts = {
        "cluster": place.cluster,
        "size_bytes": row["size_bytes"],
        "schema_head": head.get("version_num"),
        "ledger": row["ledger"],
    }
    return Status(name, "postgres", "ok", latency, row["version"].split()[0], facts)
