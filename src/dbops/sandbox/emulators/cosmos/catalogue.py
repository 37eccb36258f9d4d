"""Databases and containers: made, listed, changed and dropped."""

import base64
from dataclasses import replace
from typing import Any

import orjson

from dbops.engine import clock
from dbops.sandbox.emulators.cosmos import containers, offers
from dbops.sandbox.emulators.cosmos.answers import Refused, not_found
from dbops.sandbox.emulators.cosmos.containers import Container, Range
from dbops.sandbox.emulators.cosmos.tables import Tables

_OWNER_MISSING = 1003
_PER_RANGE = 10_000  # what one physical partition serves, in request units per second


def etag_of(number: int, ts: int) -> str:
    return f'"{number:08x}-0000-0700-0000-{ts:08x}0000"'


def seconds() -> int:
    return int(clock.now().timestamp())


def _rid(*numbers: tuple[int, int]) -> str:
    packed = b"".join(number.to_bytes(size, "big") for number, size in numbers)
    return base64.b64encode(packed).decode().replace("/", "-")


class Catalogue:
    """All definitions, in memory; each change is in the tables before it is here."""

    def __init__(self, tables: Tables, count: int) -> None:
        self._tables = tables
        self._count = count
        self._databases: dict[str, tuple[int, dict[str, Any]]] = {}
        self._containers: dict[str, dict[str, Container]] = {}
        for number, name, body in tables.sql.execute("SELECT number, id, body FROM databases ORDER BY number"):
            self._databases[name] = (number, orjson.loads(body))
            self._containers[name] = {}
        rows = tables.sql.execute("""SELECT d.id, c.number, c.body FROM containers c
            JOIN databases d ON d.number = c.database ORDER BY c.number""").fetchall()
        for database, number, body in rows:
            definition = orjson.loads(body)
            name = f"dbs/{database}/colls/{definition['id']}"
            self._containers[database][definition["id"]] = containers.of(number, name, definition, self._ranges(number))

    def _ranges(self, number: int) -> tuple[Range, ...]:
        rows = self._tables.sql.execute(
            "SELECT number, low, high, parents FROM ranges WHERE container = ? AND lives ORDER BY low", (number,)
        )
        return tuple(Range(n, low, high, tuple(orjson.loads(parents))) for n, low, high, parents in rows)

    # -- databases

    def databases(self) -> list[dict[str, Any]]:
        return [body for _, body in self._databases.values()]

    def database(self, name: str) -> dict[str, Any]:
        return self._database(name)[1]

    def _database(self, name: str) -> tuple[int, dict[str, Any]]:
        found = self._databases.get(name)
        if found is None:
            raise not_found(f"database {name}")
        return found

    def create_database(self, wish: dict[str, Any], offer: offers.Wish | None) -> dict[str, Any]:
        name = containers.checked_id(wish)
        if name in self._databases:
            raise Refused(409, f"Resource with specified id or name already exists: {name}")
        with self._tables.transaction():
            number, ts = self._tables.next(), seconds()
            rid = _rid((number, 4))
            body = {"id": name, "_rid": rid, "_self": f"dbs/{rid}/", "_etag": etag_of(number, ts), "_ts": ts}
            body |= {"_colls": "colls/", "_users": "users/"}
            row = (number, name, rid, orjson.dumps(body))
            self._tables.sql.execute("INSERT INTO databases VALUES (?, ?, ?, ?)", row)
            if offer is not None:
                offers.insert(self._tables, body, offer)
        self._databases[name] = (number, body)
        self._containers[name] = {}
        return body

    def drop_database(self, name: str) -> None:
        number, body = self._database(name)
        with self._tables.transaction():
            for container in self._containers[name].values():
                self._delete(container)
            offers.delete(self._tables, body["_self"])
            self._tables.sql.execute("DELETE FROM databases WHERE number = ?", (number,))
        del self._databases[name], self._containers[name]

    # -- containers

    def containers(self, database: str) -> list[dict[str, Any]]:
        self._database(database)
        return [each.definition for each in self._containers[database].values()]

    def container(self, database: str, name: str) -> Container:
        found = self._containers.get(database, {}).get(name)
        if found is None:
            raise not_found(f"container {name} of {database}", substatus=_OWNER_MISSING)
        return found

    def named(self, database: str, name: str) -> Container:
        """Find a container that is asked for itself: missing is missing, not its owner's."""
        self._database(database)
        found = self._containers[database].get(name)
        if found is None:
            raise not_found(f"container {name} of {database}")
        return found

    def create_container(self, database: str, wish: dict[str, Any], offer: offers.Wish | None) -> Container:
        owner, parent = self._database(database)
        definition = containers.filled(wish)
        name = definition["id"]
        if name in self._containers[database]:
            raise Refused(409, f"Resource with specified id or name already exists: {name}")
        if offer is None and offers.of(self._tables, parent["_self"]) is None:
            offer = offers.Wish(offers.LEAST)
        with self._tables.transaction():
            number, ts = self._tables.next(), seconds()
            rid = _rid((owner, 4), (number | 1 << 31, 4))
            definition = {**definition, "_rid": rid, "_self": f"{parent['_self']}colls/{rid}/", "_ts": ts}
            definition |= {"_etag": etag_of(number, ts), "_docs": "docs/", "_sprocs": "sprocs/"}
            definition |= {"_triggers": "triggers/", "_udfs": "udfs/", "_conflicts": "conflicts/"}
            self._tables.sql.execute(
                "INSERT INTO containers VALUES (?, ?, ?, ?, ?)", (number, owner, name, rid, orjson.dumps(definition))
            )
            self._tables.make_items(number)
            if offer is not None:
                offers.insert(self._tables, definition, offer)
            made = containers.of(number, f"dbs/{database}/colls/{name}", definition, ())
            made = self._with_ranges(made, self._wanted_ranges(offer))
        self._containers[database][name] = made
        return made

    def _wanted_ranges(self, offer: offers.Wish | None) -> int:
        return max(self._count, 0 if offer is None else -(-offer.throughput // _PER_RANGE))

    def _with_ranges(self, container: Container, count: int) -> Container:
        ends = container.scheme.boundaries(count)
        for number in range(count):
            self._insert(container, Range(number, ends[number], ends[number + 1], ()))
        return self._reread(container)

    def _insert(self, container: Container, new: Range) -> None:
        row = (container.number, new.number, new.low, new.high, orjson.dumps(new.parents))
        self._tables.sql.execute("INSERT INTO ranges VALUES (?, ?, ?, ?, ?, 1)", row)

    def _reread(self, container: Container) -> Container:
        ranges = self._ranges(container.number)
        return replace(container, ranges=ranges, lows=tuple(each.low for each in ranges))

    def split(self, database: str, container: Container, gone: Range) -> Container:
        """Cut a range into two children; whoever still asks for the parent is told that it is gone."""
        middle = container.scheme.middle(gone.low, gone.high)
        (last,) = self._tables.sql.execute(
            "SELECT max(number) FROM ranges WHERE container = ?", (container.number,)
        ).fetchone()
        parents = (*gone.parents, gone.number)
        with self._tables.transaction():
            self._tables.sql.execute(
                "UPDATE ranges SET lives = 0 WHERE container = ? AND number = ?", (container.number, gone.number)
            )
            self._insert(container, Range(last + 1, gone.low, middle, parents))
            self._insert(container, Range(last + 2, middle, gone.high, parents))
        changed = self._reread(container)
        self._containers[database][container.definition["id"]] = changed
        return changed

    def replace_container(self, database: str, name: str, wish: dict[str, Any]) -> Container:
        before = self.named(database, name)
        definition = containers.replaced(before, wish)
        with self._tables.transaction():
            number, ts = self._tables.next(), seconds()
            own = {key: value for key, value in before.definition.items() if key.startswith("_")}
            definition = {**definition, **own, "_ts": ts, "_etag": etag_of(number, ts)}
            self._tables.sql.execute(
                "UPDATE containers SET body = ? WHERE number = ?", (orjson.dumps(definition), before.number)
            )
            after = containers.of(before.number, before.name, definition, before.ranges)
            if after.ttl != before.ttl:
                self._let_expire(after)
        self._containers[database][name] = after
        return after

    def _let_expire(self, container: Container) -> None:
        """Give each item its end anew: its own time to live, or the container's."""
        ttl = container.ttl
        self._tables.sql.execute(
            f"""UPDATE {container.items} SET expires = CASE WHEN ?1 IS NULL OR coalesce(ttl, ?1) = -1 THEN NULL
               ELSE ts + coalesce(ttl, ?1) END""",  # noqa: S608
            (ttl,),
        )

    def drop_container(self, database: str, name: str) -> None:
        container = self.named(database, name)
        with self._tables.transaction():
            self._delete(container)
        del self._containers[database][name]

    def _delete(self, container: Container) -> None:
        offers.delete(self._tables, container.link)
        self._tables.drop_items(container.number)
        self._tables.sql.execute("DELETE FROM containers WHERE number = ?", (container.number,))
