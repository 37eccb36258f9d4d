"""PostgreSQL: how it is reached, how its errors are told, and the locks it keeps for us."""

from dbops.stores.postgres.connecting import ENCODING, connect, database_name, dsn
from dbops.stores.postgres.locks import only_run, only_runs
from dbops.stores.postgres.runs import reap_dead_runs
from dbops.stores.postgres.said import translated
from dbops.stores.postgres.statements import (
    NOT_GRANTED,
    Connection,
    below_deadlock,
    compose,
    execute,
    milliseconds,
    record,
    set_local_timeouts,
)

__all__ = [
    "ENCODING",
    "NOT_GRANTED",
    "Connection",
    "below_deadlock",
    "compose",
    "connect",
    "database_name",
    "dsn",
    "execute",
    "milliseconds",
    "only_run",
    "only_runs",
    "reap_dead_runs",
    "record",
    "set_local_timeouts",
    "translated",
]
