"""Any statements of old and new clients, in any order: the database does what a model of the rules says."""

import uuid
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from psycopg.conninfo import make_conninfo

from dbops.operations.migrate.shapes.columns import Columns, New

import shaping

DEFAULT = "d"
RENAME = Columns(
    table="public.users",
    old=("name",),
    new=(New("full_name", "text", not_null=True),),
    up={"full_name": "r.name"},
    down={"name": "r.full_name"},
)
# The application's own trigger assigns the old name; it does not fire for a replica.
_TABLE = """
    CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'd');
    CREATE FUNCTION shorten() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.name := left(NEW.name, 2); RETURN NEW; END $$;
    CREATE TRIGGER shorten BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION shorten();"""
_OMITTED = object()
Value = Any  # text, None, or left out


class Refused(Exception):
    """NOT NULL of the old name."""


@dataclass
class Model:
    """The rules, as they are told in shapes/dual.py."""

    rows: dict[int, str] = field(default_factory=dict[int, str])  # what both sides say
    conflicts: int = 0

    def insert(self, id: int, old: Value, new: Value, *, replica: bool) -> None:  # noqa: A002
        self.rows[id] = self._proposed(old, new, replica=replica)

    def upsert(self, id: int, old: Value, new: Value, *, replica: bool) -> None:  # noqa: A002
        proposed = self._proposed(old, new, replica=replica)
        if id not in self.rows:
            self.rows[id] = proposed
            return
        self.update(
            id, proposed if old is not _OMITTED else old, proposed if new is not _OMITTED else new, replica=replica
        )

    def _proposed(self, old: Value, new: Value, *, replica: bool) -> str:
        old, new = (None if side is _OMITTED else side for side in (old, new))
        if old is None and new is None:
            old = DEFAULT
        old = self._shortened(old, replica=replica)
        if new is not None and old is not None and old != new:
            self.conflicts += 1
        return str(new if new is not None else old)

    def update(self, id: int, old: Value, new: Value, *, replica: bool) -> None:  # noqa: A002
        if id not in self.rows:
            return
        before = self.rows[id]
        old = before if old is _OMITTED else old
        new = before if new is _OMITTED else new
        old = self._shortened(old, replica=replica)
        if new not in {before, old} and old != before:
            self.conflicts += 1
        after = new if new != before else old
        if after is None:
            raise Refused
        self.rows[id] = after

    @staticmethod
    def _shortened(old: Value, *, replica: bool) -> Value:
        return old if replica or old is None else old[:2]


@dataclass(frozen=True)
class Statement:
    verb: str
    id: int
    old: Value
    new: Value
    replica: bool

    @property
    def given(self) -> dict[str, Value]:
        sides = {"name": self.old, "full_name": self.new}
        return {column: value for column, value in sides.items() if value is not _OMITTED}

    def run(self, connection: psycopg.Connection[Any]) -> None:
        role = "replica" if self.replica else "origin"
        shaping.run(connection, f"SET LOCAL session_replication_role = {role}")
        columns = ["id", *self.given]
        values = [self.id, *self.given.values()]
        match self.verb:
            case "copy":
                with connection.cursor() as cursor, cursor.copy(self._copy(columns)) as copy:  # pyright: ignore[reportArgumentType, reportCallIssue]
                    copy.write_row(values)
            case "update":
                sets = ", ".join(f"{column} = %s" for column in self.given) or "id = id"
                shaping.run(connection, f"UPDATE users SET {sets} WHERE id = %s", [*self.given.values(), self.id])
            case "merge":
                shaping.run(connection, self._merge(), [*values, self.id])
            case _:
                places = ", ".join(["%s"] * len(columns))
                text = f"INSERT INTO users ({', '.join(columns)}) VALUES ({places})"
                sets = ", ".join(f"{column} = EXCLUDED.{column}" for column in self.given) or "id = EXCLUDED.id"
                upsert = f" ON CONFLICT (id) DO UPDATE SET {sets}" if self.verb == "upsert" else ""
                shaping.run(connection, text + upsert, values)

    @staticmethod
    def _copy(columns: list[str]) -> Any:
        return f"COPY users ({', '.join(columns)}) FROM STDIN"

    def _merge(self) -> str:
        columns = ["id", *self.given]
        proposed = ", ".join(["%s::int", *("%s::text" for _ in self.given)])
        sets = ", ".join(f"{column} = v.{column}" for column in self.given) or "id = v.id"
        return (
            f"MERGE INTO users u USING (VALUES ({proposed})) v ({', '.join(columns)}) ON u.id = v.id AND u.id = %s"
            f" WHEN MATCHED THEN UPDATE SET {sets}"
            f" WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({', '.join(f'v.{c}' for c in columns)})"
        )

    def predict(self, model: Model) -> None:
        there = self.id in model.rows
        match self.verb:
            case "insert" | "copy" if there:
                raise errors.UniqueViolation
            case "insert" | "copy":
                model.insert(self.id, self.old, self.new, replica=self.replica)
            case "upsert":
                model.upsert(self.id, self.old, self.new, replica=self.replica)
            case "merge" if not there:
                model.insert(self.id, self.old, self.new, replica=self.replica)
            case _:
                model.update(self.id, self.old, self.new, replica=self.replica)


_values = st.sampled_from([_OMITTED, _OMITTED, None, "a", "b", "long", "longer"])
_statements = st.builds(
    Statement,
    st.sampled_from(["insert", "copy", "update", "upsert", "merge"]),
    st.integers(1, 3),
    _values,
    _values,
    st.booleans(),
)


@pytest.fixture(scope="module")
def connection(server: str) -> Generator[psycopg.Connection[Any]]:
    name = f"model_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        shaping.run(admin, f"CREATE DATABASE {name}")
        with psycopg.connect(make_conninfo(server, dbname=name), autocommit=True) as connection:
            shaping.install_ledger(connection)
            connection.execute(_TABLE)
            shaping.expand(connection, RENAME)
            yield connection
        shaping.run(admin, f"DROP DATABASE {name} WITH (FORCE)")


@given(st.lists(_statements, min_size=1, max_size=12))
def test_whatever_clients_do_both_names_say_what_the_rules_say(
    connection: psycopg.Connection[Any], statements: list[Statement]
) -> None:
    connection.execute("TRUNCATE users, dbops.conflicts")
    model = Model()
    for statement in statements:
        before = (dict(model.rows), model.conflicts)
        try:
            statement.predict(model)
        except (Refused, errors.UniqueViolation) as expected:
            model.rows, model.conflicts = before
            kind = errors.NotNullViolation if isinstance(expected, Refused) else errors.UniqueViolation
            with pytest.raises(kind), connection.transaction():
                statement.run(connection)
        else:
            with connection.transaction():
                statement.run(connection)
        rows = connection.execute("SELECT id, name, full_name FROM users").fetchall()
        assert {id: (old, new) for id, old, new in rows} == {id: (v, v) for id, v in model.rows.items()}  # noqa: A001
        assert shaping.conflicts(connection) == model.conflicts
