"""The emulated account: who asks what, and which part answers."""

from pathlib import Path
from typing import Any

import orjson

from dbops.sandbox.emulators.cosmos import (
    account,
    auth,
    batch,
    feed,
    items,
    offers,
    pages,
    point,
    query,
    ranges,
    scope,
    shapes,
    sql,
)
from dbops.sandbox.emulators.cosmos.answers import Refused, listing, missing, raw, told
from dbops.sandbox.emulators.cosmos.catalogue import Catalogue, seconds
from dbops.sandbox.emulators.cosmos.containers import Container
from dbops.sandbox.emulators.cosmos.items import Partition
from dbops.sandbox.emulators.cosmos.tables import Tables
from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.web import Reply, Request

_RANGES = 4
_PURGED = 200
_FOREIGN = {
    "sprocs": "stored procedures",
    "triggers": "triggers",
    "udfs": "user-defined functions",
    "users": "users",
    "permissions": "permissions",
    "conflicts": "conflicts",
    "clientencryptionkeys": "client encryption",
    "media": "attachments",
    "attachments": "attachments",
}


class Account:
    """An account with one region: answers requests in the order in which they come."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.faults = Faults()
        self._guard = auth.Guard(str(settings["key"]))
        self._tables = Tables(folder)
        self._catalogue = Catalogue(self._tables, int(settings.get("partitions", _RANGES)))
        self._kept = pages.Kept()
        self._purged = 0
        for name in settings.get("databases", ()):  # as an account of a platform has its databases from the start
            if all(one["id"] != name for one in self._catalogue.databases()):
                self._catalogue.create_database({"id": name}, None)

    def __call__(self, request: Request) -> Reply:
        path = auth.path_of(request.path)
        try:
            self._guard.check(request, path)
            return self._route(request, path.names)
        except Refused as refused:
            return refused.reply()
        except sql.Invalid as invalid:
            return Refused(400, f"Message: {invalid}").reply()
        except sql.Unsupported as unsupported:
            return missing(f"{unsupported} in queries").reply()

    def close(self) -> None:
        self._tables.close()

    def _route(self, request: Request, names: tuple[str, ...]) -> Reply:
        if not _FOREIGN.keys().isdisjoint(names[::2]):
            raise missing(next(_FOREIGN[kind] for kind in names[::2] if kind in _FOREIGN))
        match names:
            case ():
                return told(200, account.document(request.base))
            case ["dbs"]:
                return self._databases(request)
            case ["dbs", database]:
                return self._database(request, database)
            case ["dbs", database, "colls"]:
                return self._containers(request, database)
            case ["dbs", database, "colls", name]:
                return self._container(request, database, name)
            case ["dbs", database, "colls", name, *rest]:
                container = self._catalogue.container(database, name)
                scope.check(request.headers, container, self._tables.last)
                return self._within(request, database, container, rest)
            case ["offers"]:
                return self._offers(request)
            case ["offers", rid]:
                return _offer(self._tables, request, rid)
            case _:
                raise Refused(404, f"The path {request.path} is unknown.")

    # -- databases, containers, offers

    def _databases(self, request: Request) -> Reply:
        if request.method == "POST" and not query.wanted(request):
            return told(201, self._catalogue.create_database(_object(request), offers.wish(request.headers)))
        return _listed(request, self._catalogue.databases(), "", "Databases")

    def _database(self, request: Request, name: str) -> Reply:
        match request.method:
            case "GET":
                return told(200, self._catalogue.database(name))
            case "DELETE":
                _must_be_unchanged(request, self._catalogue.database(name))
                self._catalogue.drop_database(name)
                return Reply(204)
            case _:
                raise _not_allowed(request)

    def _containers(self, request: Request, database: str) -> Reply:
        if request.method == "POST" and not query.wanted(request):
            made = self._catalogue.create_container(database, _object(request), offers.wish(request.headers))
            return _defined(201, made)
        rid = self._catalogue.database(database)["_rid"]
        return _listed(request, self._catalogue.containers(database), rid, "DocumentCollections")

    def _container(self, request: Request, database: str, name: str) -> Reply:
        match request.method:
            case "GET":
                container = self._catalogue.named(database, name)
                usage = self._usage(container) if "x-ms-documentdb-populatequotainfo" in request.headers else ()
                return _defined(200, container, *usage)
            case "PUT":
                _must_be_unchanged(request, self._catalogue.named(database, name).definition)
                return _defined(200, self._catalogue.replace_container(database, name, _object(request)))
            case "DELETE":
                _must_be_unchanged(request, self._catalogue.named(database, name).definition)
                self._catalogue.drop_container(database, name)
                return Reply(204)
            case _:
                raise _not_allowed(request)

    def _usage(self, container: Container) -> tuple[tuple[str, str], ...]:
        count, size = self._tables.sql.execute(
            f"SELECT count(*), coalesce(sum(length(body)), 0) FROM {container.items}"  # noqa: S608
        ).fetchone()
        return (
            ("x-ms-resource-usage", f"documentSize={size >> 20};documentsSize={size >> 10};documentsCount={count};"),
        )

    def _offers(self, request: Request) -> Reply:
        return _listed(request, offers.listed(self._tables), "", "Offers")

    # -- items

    def _within(self, request: Request, database: str, container: Container, rest: list[str]) -> Reply:
        match rest:
            case ["docs"]:
                self._expire(container)
                return self._items(request, self._maybe_split(request, database, container))
            case ["docs", name]:
                return self._item(request, container, name)
            case ["pkranges"]:
                return ranges.listed(request, container)
            case ["operations", "partitionkeydelete"]:
                key = scope.must_have_key(request.headers, container)
                with self._tables.transaction():
                    items.delete_all(Partition(self._tables, container, key))
                where = scope.session(container, container.range_of(key.epk), self._tables.last)
                return raw(200, b"", 1.0, where)
            case _:
                raise Refused(404, f"The path {request.path} is unknown.")

    def _items(self, request: Request, container: Container) -> Reply:
        if request.method == "GET":
            if feed.wanted(request):
                return feed.changes(self._tables, container, request)
            return query.read_feed(self._tables, container, request, self._kept)
        if request.method != "POST":
            raise _not_allowed(request)
        if request.headers.get("x-ms-cosmos-is-batch-request", "").lower() == "true":
            return self._batch(request, container)
        if query.wanted(request):
            return query.run(self._tables, container, request, self._kept)
        return point.create(self._tables, container, request)

    def _batch(self, request: Request, container: Container) -> Reply:
        if request.headers.get("x-ms-cosmos-batch-atomic", "").lower() != "true":
            raise missing("bulk requests, which are not atomic")
        key = scope.must_have_key(request.headers, container)
        operations = batch.operations_of(point.body_of(request), len(request.body))
        status, body, charge = batch.run(Partition(self._tables, container, key), operations)
        return raw(status, body, charge, scope.session(container, container.range_of(key.epk), self._tables.last))

    def _item(self, request: Request, container: Container, name: str) -> Reply:
        match request.method:
            case "GET":
                return point.read(self._tables, container, request, name)
            case "PUT":
                return point.replace(self._tables, container, request, name)
            case "PATCH":
                return point.patch_item(self._tables, container, request, name)
            case "DELETE":
                return point.delete(self._tables, container, request, name)
            case _:
                raise _not_allowed(request)

    def _maybe_split(self, request: Request, database: str, container: Container) -> Container:
        """Split the physical partition that a request names, if a test asked for it."""
        number = request.headers.get("x-ms-documentdb-partitionkeyrangeid")
        if number is None:
            return container
        asked = self.faults.take("split", f"{container.name}/pkranges/{number.rpartition(',')[2]}")
        if asked is None:
            return container
        return self._catalogue.split(database, container, scope.living(container, number))

    def _expire(self, container: Container) -> None:
        if container.ttl is not None and (now := seconds()) > self._purged:
            self._purged = now
            items.purge(self._tables, container, _PURGED)


def make(folder: Path, settings: dict[str, Any]) -> Account:
    return Account(folder, settings)


def _object(request: Request) -> dict[str, Any]:
    return shapes.an_object(point.body_of(request), "the request payload")


def _must_be_unchanged(request: Request, definition: dict[str, Any]) -> None:
    if request.headers.get("if-match", "*") not in {"*", definition["_etag"]}:
        raise Refused(412, "Operation cannot be performed because one of the specified precondition is not met.")


def _not_allowed(request: Request) -> Refused:
    return Refused(405, f"{request.method} is not allowed on {request.path}.")


def _listed(request: Request, documents: list[dict[str, Any]], rid: str, name: str) -> Reply:
    if request.method not in {"GET", "POST"}:
        raise _not_allowed(request)
    found: list[Any] = query.over(documents, request) if query.wanted(request) else documents
    body, count = listing(rid, name, [orjson.dumps(each) for each in found])
    return raw(200, body, 2.0, (("x-ms-item-count", str(count)),))


def _defined(status: int, container: Container, *more: tuple[str, str]) -> Reply:
    return told(status, container.definition, ("etag", container.definition["_etag"]), *more)


def _offer(tables: Tables, request: Request, rid: str) -> Reply:
    match request.method:
        case "GET":
            return told(200, offers.read(tables, rid))
        case "PUT":
            return told(200, offers.replace(tables, rid, _object(request)))
        case _:
            raise _not_allowed(request)
