"""What writers pay while two tables are kept alike: beside one table, and beside a client who writes both himself.

Two tables cannot be written for the price of one: the floor is the same statement on each. Measured is the time that
the server's process is on a processor, at its best: what else the machine does adds to it.
"""

from pathlib import Path

import psycopg

from dbops.operations.migrate.shapes.replaced import Replaced

import replacing

_ROWS = 100_000
_ROUNDS = 3
_EACH = 200
_LEAST_MANY = 0.45  # of the floor
_LEAST_ONE = 0.12
_TABLE = "(id int PRIMARY KEY, {} varchar(255) NOT NULL DEFAULT 'x', visits int) WITH (autovacuum_enabled = off)"
_MANY = {
    "updates": "UPDATE {table} SET {name} = 'w{turn}'",
    "updates what is carried as it is": "UPDATE {table} SET visits = {turn} + 1",
    "inserts": "INSERT INTO {table} (id, {name}) SELECT n, 'i' FROM generate_series(100001, 150000) n",
    "deletes": "DELETE FROM {table} WHERE id > 100000",
}
_ONE = {
    "updates": "UPDATE {table} SET {name} = 'v' || %(turn)s WHERE id = %(id)s",
    "inserts": "INSERT INTO {table} (id, {name}) VALUES (200000 + %(id)s, 'v' || %(turn)s)",
    "upserts": "INSERT INTO {table} (id, {name}) VALUES (200000 + %(id)s, 'v' || %(turn)s)"
    " ON CONFLICT (id) DO UPDATE SET {name} = excluded.{name}",
    "deletes": "DELETE FROM {table} WHERE id = 200000 + %(id)s AND %(turn)s::int IS NOT NULL",
}
_BARE, _BOTH, _DUAL = "one table", "a client writes both", "triggers"


class Side:
    """One table, two that are written by their client, or two with triggers."""

    def __init__(self, place: str, kind: str, schema: str) -> None:
        self.connection = psycopg.connect(place, autocommit=True)
        self.connection.execute("SET synchronous_commit = off")
        replacing.run(self.connection, f"CREATE SCHEMA {schema}; SET search_path = {schema}")
        shape = Replaced(
            table=f"{schema}.users",
            by=f"{schema}.users_2",
            create=f"CREATE TABLE {schema}.users_2 {_TABLE.format('title')}",
            key=("id",),
            same=("visits",),
            up={"title": "r.name"},
            down={"name": "r.title"},
        )
        replacing.run(self.connection, f"CREATE TABLE users {_TABLE.format('name')}")
        replacing.run(self.connection, f"INSERT INTO users SELECT n, 'a', 0 FROM generate_series(1, {_ROWS}) n")
        statements = shape.expand(replacing.CHANGE) if kind == _DUAL else shape.expand(replacing.CHANGE)[:1]
        for one in statements:
            replacing.run(self.connection, one.sql)
        if kind != _BARE:
            replacing.fill(self.connection, shape)
        replacing.run(self.connection, "ANALYZE users, users_2")
        self.tables = (("users", "name"), ("users_2", "title"))[: 2 if kind == _BOTH else 1]

    def on_cpu(self) -> float:
        told = Path(f"/proc/{self.connection.info.backend_pid}/schedstat").read_text(encoding="ascii")
        return int(told.split()[0]) / 1e9

    def many(self, statement: str, turn: int) -> float:
        replacing.run(self.connection, "VACUUM users, users_2")
        began = self.on_cpu()
        for table, name in self.tables:
            replacing.run(self.connection, statement.format(table=table, name=name, turn=turn))
        return self.on_cpu() - began

    def one(self, statement: str, turn: int) -> float:
        """As an application does: prepared, each in its own transaction."""
        texts = [statement.format(table=table, name=name) for table, name in self.tables]
        began = self.on_cpu()
        for number in range(_EACH):
            for text in texts:
                values = {"turn": turn, "id": number + turn * _EACH}
                self.connection.execute(text, values, prepare=True)  # pyright: ignore[reportArgumentType, reportCallIssue]
        return self.on_cpu() - began


def _held(what: str, times: dict[str, list[float]], least: float) -> None:
    best = {kind: min(all_times) for kind, all_times in times.items()}
    of_floor, of_none = best[_BOTH] / best[_DUAL], best[_BARE] / best[_DUAL]
    told = (
        f"{what}: {of_floor:.2f} of a double write, {of_none:.2f} of one table ({best[_BARE] / best[_BOTH]:.2f} is it)"
    )
    print(told)
    assert of_floor >= least, f"{told}: {times}"


def test_writes_to_two_tables_keep_most_of_the_speed_of_a_double_write(database: str) -> None:
    kinds = (_BARE, _BOTH, _DUAL)
    sides = {kind: Side(database, kind, f"side_{number}") for number, kind in enumerate(kinds)}
    many: dict[str, dict[str, list[float]]] = {what: {kind: [] for kind in kinds} for what in _MANY}
    one: dict[str, dict[str, list[float]]] = {what: {kind: [] for kind in kinds} for what in _ONE}
    try:
        for turn in range(_ROUNDS):
            for what, statement in _MANY.items():
                for kind, side in sides.items():
                    many[what][kind].append(side.many(statement, turn))
            for what, statement in _ONE.items():
                for kind, side in sides.items():
                    one[what][kind].append(side.one(statement, turn))
    finally:
        for side in sides.values():
            side.connection.close()
    for what, times in many.items():
        _held(f"one statement {what}", times, _LEAST_MANY if "updates" in what else 0)
    for what, times in one.items():
        _held(f"each row {what}", times, _LEAST_ONE)
