"""Which indexes and constraints the new columns still lack: readers may not follow before they have them all."""

from collections.abc import Sequence
from typing import LiteralString, cast

from psycopg import sql

from dbops.errors import Refused
from dbops.operations.migrate.shapes import belongings
from dbops.operations.migrate.shapes.belongings import Belonging
from dbops.operations.migrate.shapes.shape import Shape
from dbops.stores.postgres import Connection


def missing(connection: Connection, carry: Sequence[Belonging]) -> tuple[Belonging, ...]:
    """Tell which of them are not there, are not valid, or were cut off half-way."""
    if not carry:
        return ()
    asked = f"SELECT {', '.join(belongings.is_there(one) for one in carry)}"
    with connection.transaction():
        connection.execute("SET LOCAL search_path = public, pg_temp")  # as revisions have it: shapes are written so
        row = connection.execute(sql.SQL(cast("LiteralString", asked))).fetchone()
    assert row is not None  # noqa: S101
    return tuple(one for one, there in zip(carry, row, strict=True) if not there)


def refuse(connection: Connection, *, target: str, change: str, shape: Shape) -> None:
    """Refuse to go on where something of it is missing."""
    left = missing(connection, belongings.carried(shape))
    if left:
        told = ", ".join(map(belongings.told, left))
        raise Refused(
            f"change {change}: not there, or not valid: {told}",
            hint=f"dbops migrate backfill {change} --target {target} builds what is missing",
            target=target,
        )
