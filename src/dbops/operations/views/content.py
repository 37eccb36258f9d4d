"""Compare a view with its own query: EXCEPT ALL both ways, in one snapshot, on the server."""

from typing import LiteralString, cast

import psycopg
from psycopg import sql

from dbops.operations.views.facts import Compared, View
from dbops.redact import redact
from dbops.stores.postgres import Connection

_COUNTS = """
    SELECT (SELECT count(*) FROM (SELECT * FROM {view} EXCEPT ALL SELECT * FROM ({query}) q) a),
           (SELECT count(*) FROM (SELECT * FROM ({query}) q EXCEPT ALL SELECT * FROM {view}) b)"""


def compare(connection: Connection, view: View) -> Compared:
    """Count what differs. Row security that would hide rows from us is an error, not an answer."""
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute("SET LOCAL search_path = pg_catalog")  # so that the query names every schema
            connection.execute("SET LOCAL row_security = off")
            told = connection.execute("SELECT pg_get_viewdef(%s::oid)", (view.oid,)).fetchone()
            if told is None or told[0] is None:
                return Compared(view.shown, failed="it has just been dropped")
            query = sql.SQL(cast("LiteralString", str(told[0]).rstrip().rstrip(";")))  # what the server itself wrote
            counts = sql.SQL(_COUNTS).format(view=sql.Identifier(view.schema, view.name), query=query)
            found = connection.execute(counts).fetchone()
    except psycopg.Error as error:
        if connection.closed:
            raise
        return Compared(view.shown, failed=redact(error.diag.message_primary or str(error)))
    return Compared(view.shown, failed="no answer") if found is None else Compared(view.shown, *found)
