"""What a seeded sandbox holds, for tests: a digest of every part, and how to empty it again."""

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import sql

from dbops.sandbox.environment import environment
from dbops.sandbox.facts import DATABASES, SEARCH, WORKFLOWS
from dbops.sandbox.layout import at
from dbops.sandbox.seed import places
from dbops.sandbox.seed.databases import TABLES
from dbops.sandbox.seed.documents import CONTAINERS
from dbops.sandbox.seed.entries import INDEXES
from dbops.sandbox.seed.facts import SMALL, UNTIL
from dbops.sandbox.seed.world import World
from dbops.stores import cosmos, redis, search

KNOWN = World(SMALL, UNTIL)
# What pgcrypto encrypts differs each time, by its salt.
_SALTED = {("modernize", "users"): "email"}


@contextmanager
def database(box: Path, target: str) -> Generator[psycopg.Connection[Any]]:
    """Connect as the superuser, whom no row security binds."""
    admin = environment(box)["DBOPS_SANDBOX_POSTGRES"]
    with psycopg.connect(admin, dbname=DATABASES[target], autocommit=True) as connection:
        yield connection


def documents(box: Path, name: str) -> list[dict[str, Any]]:
    with cosmos.connect(places.workflows(at(box)), target=WORKFLOWS) as account:
        found = [one for page in account.container(name).pages() for one in page.documents]
    return sorted(({k: v for k, v in one.items() if not k.startswith("_")} for one in found), key=lambda one: one["id"])


def entries(box: Path, name: str) -> list[dict[str, Any]]:
    key = INDEXES[name]["fields"][0]["name"]
    asked = {"search": "*", "orderby": key, "top": 100_000}
    with search.connect(places.search(at(box)), target=SEARCH) as service:
        found = [one for page in service.pages(name, asked) for one in page.documents]
    return [{k: v for k, v in one.items() if not k.startswith("@")} for one in found]


@contextmanager
def cache(box: Path) -> Generator[Any]:
    with redis.connect(places.cache(at(box)), target="cache") as client:
        yield client


def keys(box: Path) -> dict[str, Any]:
    """Return every key that lasts: the others may have expired by now."""
    with cache(box) as client:
        return {name.decode(): _value(client, name) for name in sorted(client.keys()) if client.ttl(name) == -1}


def _value(client: Any, name: bytes) -> Any:
    match client.type(name):
        case b"hash":
            return sorted((k.decode(), v.decode()) for k, v in client.hgetall(name).items())
        case b"zset":
            return [(k.decode(), score) for k, score in client.zrange(name, 0, -1, withscores=True)]
        case _:
            return client.get(name).decode()


def digests(box: Path) -> dict[str, str]:
    """Tell the content of every table, container, index and of the lasting keys."""
    return dict(_digests(box))


def _digests(box: Path) -> Iterator[tuple[str, str]]:
    for target, tables in TABLES.items():
        with database(box, target) as connection:
            for table in tables(KNOWN):
                yield f"{target}.{table.name}", _of_table(connection, target, table.name)
    for name in CONTAINERS:
        yield f"container {name}", _of(documents(box, name))
    for name in INDEXES:
        yield f"index {name}", _of(entries(box, name))
    yield "keys", _of(keys(box))


def _of_table(connection: psycopg.Connection[Any], target: str, name: str) -> str:
    row = sql.SQL("md5((to_jsonb(t) - {})::text)").format(_SALTED.get((target, name), ""))
    query = sql.SQL("SELECT count(*) || md5(string_agg({row}, '' ORDER BY {row})) FROM {table} t")
    found = connection.execute(query.format(row=row, table=sql.Identifier("public", name))).fetchone()
    return str(found and found[0])


def _of(told: Any) -> str:
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def emptied(box: Path) -> None:
    """Take everything out again; what the ledger says stays."""
    for target, tables in TABLES.items():
        with database(box, target) as connection:
            names = sql.SQL(", ").join(sql.Identifier("public", table.name) for table in tables(KNOWN))
            connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
    with cache(box) as client:
        client.flushall()
    with cosmos.connect(places.workflows(at(box)), target=WORKFLOWS) as account:
        for one in account.containers():
            account.proxy.delete_container(str(one["id"]))
    with search.connect(places.search(at(box)), target=SEARCH) as service:
        for one in service.definitions("indexes", only="name"):
            service.delete("indexes", one["name"])
