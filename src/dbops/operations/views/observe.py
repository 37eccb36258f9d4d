"""Read what materialized views are, read, and have been through: one snapshot that changes nothing."""

import hashlib
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg.rows import tuple_row

from dbops.engine.plan import qualified
from dbops.operations.views import queries
from dbops.operations.views.facts import Facts, Node, Outcome, Past, Signature, View
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
}
_EXPRESSIONS = {
    "SQLVALUEFUNCTION": "the current time or user",
    "COERCEVIAIO": "a cast through text",
    "NEXTVALUEEXPR": "a sequence",
    "TABLESAMPLECLAUSE": "a sample",
    "XMLEXPR": "an XML expression",
}


@dataclass(frozen=True, slots=True)
class _Relation:
    oid: int
    schema: str
    name: str
    kind: str
    owner: int
    secured: bool
    invoker: bool

    @property
    def shown(self) -> str:
        return qualified((self.schema, self.name))


@dataclass(frozen=True, slots=True)
class _Definition:
    digest: str
    opaque: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Signal:
    digest: str
    opaque: tuple[str, ...]
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Server:
    now: datetime
    standby: bool
    counters: str
    counting: bool
    system: int
    database: int


@dataclass(frozen=True, slots=True)
class _Graph:
    """Relations by oid, and which view reads which."""

    server: _Server
    relations: Mapping[int, _Relation]
    edges: Mapping[int, tuple[int, ...]]
    definitions: Mapping[int, _Definition] = field(default_factory=dict[int, _Definition])
    signals: Mapping[int, _Signal] = field(default_factory=dict[int, _Signal])

    def walk(self, view: int) -> Generator[tuple[int, int]]:
        """Yield what a view reads, through plain views, each with the role as which it is read."""
        seen: set[tuple[int, int]] = set()
        todo = [(view, self.relations[view].owner)]
        while todo:
            reader, role = todo.pop()
            for oid in self.edges.get(reader, ()):
                if oid not in self.relations or (oid, role) in seen:
                    continue
                seen.add((oid, role))
                yield oid, role
                below = self.relations[oid]
                if below.kind == "v":
                    todo.append((oid, role if below.invoker else below.owner))


@contextmanager
def _snapshot(connection: Connection) -> Generator[None]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL search_path = pg_catalog")
        yield


def _rows(connection: Connection, query: LiteralString, **values: Any) -> list[Any]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, values or None).fetchall()


def observe(connection: Connection, *, target: str, roots: Sequence[int] | None = None) -> Facts:
    """Read everything about materialized views (those of `roots`), with what the ledger tells of them."""
    with _snapshot(connection):
        version = ledger.observe(connection, target=target)
        graph = _graph(connection, roots)
        views = [oid for oid, one in graph.relations.items() if one.kind == "m" and (roots is None or oid in roots)]
        bound = _bound(connection, graph, views)
        past = _past(connection, graph, views) if version is not None else {}
        found = {row[0]: _view(graph, row, bound[row[0]]) for row in _rows(connection, queries.VIEWS, views=views)}
        found = {oid: replace(view, past=past.get(oid, Past())) for oid, view in found.items()}
    return Facts(
        target=target,
        now=graph.server.now,
        views=tuple(_in_order(found)),
        relations=tuple(sorted((oid, relation.shown) for oid, relation in graph.relations.items())),
        standby=graph.server.standby,
        ledger=version,
    )


def again(connection: Connection, facts: Facts, oids: Sequence[int]) -> Facts:
    """Look once more at some of the views: what holds a lock now may have changed before it was granted."""
    newer = observe(connection, target=facts.target, roots=oids)
    found = {view.oid: view for view in newer.views}
    views = tuple(found.get(view.oid, view) for view in facts.views)
    return replace(facts, now=newer.now, views=views, standby=newer.standby, ledger=newer.ledger)


def signature(connection: Connection, oid: int) -> tuple[Signature | None, datetime]:
    """Read, before a refresh, the state that it is going to read, and the moment; None: a change cannot be seen."""
    graph = _graph(connection, [oid])
    opaque = _opaque(graph, oid)
    return (None if opaque else _signature(graph, oid)), graph.server.now


def named(connection: Connection, schema: str, name: str) -> frozenset[int]:
    """Find a relation, and the partitioned tables above it; empty where there is none."""
    with _snapshot(connection):
        return frozenset(oid for (oid,) in _rows(connection, queries.NAMED, schema=schema, name=name))


def _graph(connection: Connection, roots: Sequence[int] | None) -> _Graph:
    [server] = _rows(connection, queries.SERVER)
    edges: dict[int, list[int]] = defaultdict(list)
    for view, relation in _rows(connection, queries.EDGES, roots=roots):
        edges[view].append(relation)
    oids = sorted({*edges, *(oid for below in edges.values() for oid in below), *(roots or ())})
    found = [_Relation(*row) for row in _rows(connection, queries.NODES, oids=oids, roots=roots)]
    relations = {relation.oid: relation for relation in found}
    graph = _Graph(_Server(*server), relations, {view: tuple(sorted(below)) for view, below in edges.items()})
    views = [r.oid for r in found if r.kind in "vm"]
    tables = [r.oid for r in found if r.kind != "v"]
    definitions = {oid: _definition(*row) for oid, *row in _rows(connection, queries.DEFINITIONS, views=views)}
    signals = {oid: _signal(*row) for oid, *row in _rows(connection, queries.SIGNALS, tables=tables)}
    return replace(graph, definitions=definitions, signals=signals)


def _definition(digest: str, functions: Sequence[str], expressions: Sequence[str], catalogs: bool) -> _Definition:
    names = [f"{name}() is not immutable" for name in sorted(functions)]
    told = [_EXPRESSIONS.get(one, one.lower()) for one in sorted(expressions)]
    return _Definition(digest, (*names, *told, *(("a system catalog",) if catalogs else ())))


def _signal(digest: str, kinds: Sequence[str], members: Sequence[int]) -> _Signal:
    return _Signal(digest, tuple(_KINDS.get(kind, f"a relation of kind {kind}") for kind in kinds), tuple(members))


def _tables(graph: _Graph, view: int) -> list[int]:
    return sorted({oid for oid, _ in graph.walk(view) if graph.relations[oid].kind != "v"})


def _views(graph: _Graph, view: int) -> list[int]:
    return sorted({view, *(oid for oid, _ in graph.walk(view) if graph.relations[oid].kind == "v")})


def _opaque(graph: _Graph, view: int) -> tuple[str, ...]:
    told: list[str] = [] if graph.server.counting else ["track_counts is off"]
    for oid in _views(graph, view):
        told += graph.definitions[oid].opaque if oid in graph.definitions else ("a view that has just gone",)
    for oid in _tables(graph, view):
        kinds = graph.signals[oid].opaque if oid in graph.signals else ("it has just gone",)
        told += [f"{graph.relations[oid].shown} ({kind})" for kind in kinds]
    return tuple(dict.fromkeys(told))


def _signature(graph: _Graph, view: int) -> Signature:
    return Signature(
        graph.server.counters,
        _digest([str(view), *(graph.definitions[oid].digest for oid in _views(graph, view))]),
        _digest(f"{oid} {graph.signals[oid].digest}" for oid in _tables(graph, view)),
    )


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _bound(connection: Connection, graph: _Graph, views: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Tell for each view which row security would bind the role as which its refresh reads."""
    read = {view: set(graph.walk(view)) for view in views}
    tables = sorted({oid for reads in read.values() for oid, _ in reads if graph.relations[oid].secured})
    if not tables:
        return dict.fromkeys(views, ())
    roles = sorted({role for reads in read.values() for _, role in reads})
    binding = {(oid, role): name for oid, role, name in _rows(connection, queries.BINDING, tables=tables, roles=roles)}
    return {
        view: tuple(
            f"the row security of {graph.relations[oid].shown} binds {binding[oid, role]}"
            for oid, role in sorted(reads)
            if (oid, role) in binding
        )
        for view, reads in read.items()
    }


def _view(graph: _Graph, row: Sequence[Any], bound: tuple[str, ...]) -> View:
    oid, populated, size, rows, live, dead, owner, may_refresh, key, invalid, candidate = row
    own = graph.relations[oid]
    below = {oid for oid, _ in graph.walk(oid)}
    opaque = _opaque(graph, oid)
    return View(
        oid=oid,
        schema=own.schema,
        name=own.name,
        owner=owner,
        populated=populated,
        size=size,
        rows=rows,
        live=live,
        dead=dead,
        key=key,
        invalid=tuple(invalid),
        candidate=candidate,
        may_refresh=may_refresh,
        parents=frozenset(oid for oid in below if graph.relations[oid].kind == "m"),
        below=frozenset(below)
        | {member for oid in below & graph.signals.keys() for member in graph.signals[oid].members},
        reads=_tree(graph, oid),
        bound=bound,
        opaque=opaque,
        signature=None if opaque else _signature(graph, oid),
    )


def _tree(graph: _Graph, view: int) -> tuple[Node, ...]:
    below = sorted((graph.relations[oid] for oid in graph.edges.get(view, ()) if oid in graph.relations), key=_by_name)
    return tuple(Node(one.shown, _KINDS.get(one.kind, one.kind), _tree(graph, one.oid)) for one in below)


def _by_name(relation: _Relation) -> tuple[str, str]:
    return relation.schema, relation.name


def _in_order(views: Mapping[int, View]) -> Generator[View]:
    """Put each view behind those that it reads, and by name where there is a choice."""
    done: set[int] = set()
    todo = sorted(views.values(), key=lambda view: (view.schema, view.name))
    while todo:
        ready = next(view for view in todo if not (view.parents & views.keys()) - done)
        todo.remove(ready)
        done.add(ready.oid)
        yield ready


def _past(connection: Connection, graph: _Graph, views: Sequence[int]) -> dict[int, Past]:
    here = {"system": graph.server.system, "database": graph.server.database}
    subjects = [f"view:{graph.relations[oid].shown}" for oid in views]
    unchanged: dict[int, datetime] = dict(_rows(connection, queries.UNCHANGED, oids=list(views), **here))
    rows = _rows(connection, queries.HISTORY, oids=list(views), subjects=subjects, **here)
    return {oid: _told(row, unchanged.get(oid)) for oid, *row in rows}


def _told(row: Sequence[Any], unchanged: datetime | None) -> Past:
    last_at, kind, error, read_at, server, definition, data, count, p50, p95 = row
    return Past(
        last_at=last_at,
        outcome=Outcome.REFRESHED if kind == "MatviewRefreshed" else Outcome.FAILED,
        error=error,
        read_at=read_at,
        signature=None if server is None else Signature(server, definition, data),
        unchanged_at=unchanged,
        refreshes=count,
        p50=None if p50 is None else timedelta(seconds=p50),
        p95=None if p95 is None else timedelta(seconds=p95),
    )
