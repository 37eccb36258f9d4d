"""What a statement changed: the relations that it locked, before and after it."""

from collections.abc import Collection, Iterator, Mapping

from dbops.operations.migrate.forecast.facts import Change, Column, Constraint, Relation

Relations = Mapping[int, Relation]


def changes(before: Relations, after: Relations, existed: Collection[int]) -> tuple[Change, ...]:
    """Tell what became of those that `existed` before the revision, and what was put onto them."""
    found: list[Change] = []
    for oid, was in before.items():
        if oid in existed:
            now = after.get(oid)
            found += _gone(was, before, after) if now is None else _changed(was, now, before, after)
    there = {oid: one for oid, one in before.items() if oid in existed}
    for oid, now in after.items():
        if oid not in before:
            found += _made(now, there)
    return tuple(_without_replaced(found))


def _without_replaced(found: list[Change]) -> Iterator[Change]:
    """An index that is rebuilt under its name is neither dropped nor added."""
    dropped = {(one.table, one.name) for one in found if one.what == "index dropped"}
    replaced = {(one.table, one.name) for one in found if one.what == "index added"} & dropped
    for one in found:
        if one.what not in {"index dropped", "index added"} or (one.table, one.name) not in replaced:
            yield one


def _gone(was: Relation, before: Relations, after: Relations) -> Iterator[Change]:
    if was.kind in {"i", "I"}:
        table = before.get(was.of)
        if table is not None and was.of in after and not _lost_with_more(was, table, after[was.of]):
            yield Change("index dropped", table.name, was.name)
        return
    if was.kind in {"r", "p", "v", "m"}:
        yield Change("dropped", was.name, about=frozenset({was.kind}))
    for key in was.constraints.values():
        if key.kind == "f" and key.peer in before and key.peer in after:
            yield Change("constraint dropped", was.name, key.name, frozenset({"f"}), before[key.peer].name)


def _lost_with_more(index: Relation, was: Relation, now: Relation) -> bool:
    """An index of a constraint or a column goes with it."""
    own = any(key.index == index.oid for key in was.constraints.values())
    return own or bool(was.columns.keys() - now.columns.keys())


def _made(now: Relation, before: Relations) -> Iterator[Change]:
    if now.kind in {"i", "I"} and now.of in before:
        table = before[now.of]
        about = frozenset({"partitioned"} if table.kind == "p" else ()) | frozenset(() if now.valid else {"invalid"})
        yield Change("index added", table.name, now.name, about)
    elif now.kind in {"r", "p"}:
        for parent in now.parents:
            if parent in before:
                yield Change("partition created", before[parent].name, now.name)
        for key in now.constraints.values():
            if key.kind == "f" and key.peer in before and not now.parents:
                yield Change("child created", before[key.peer].name, now.name)


def _changed(was: Relation, now: Relation, before: Relations, after: Relations) -> Iterator[Change]:
    if was.name != now.name:
        yield Change("renamed", was.name, now.name, frozenset({was.kind}))
    if was.storage != now.storage and was.file is not None:
        yield Change("storage changed", was.name)
    if was.manners != now.manners:
        yield Change("manners changed", was.name)
    if was.kind in {"r", "p", "v", "m"}:
        yield from _columns(was, now)
        yield from _constraints(was, now, before, after)
        yield from _triggers(was, now)
        if was.policies != now.policies:
            yield Change("policy changed", was.name)
        yield from _parents(was, now, after)


def _columns(was: Relation, now: Relation) -> Iterator[Change]:
    for number, column in now.columns.items():
        old = was.columns.get(number)
        if old is None:
            yield Change("column added", was.name, column.name, frozenset(_about(column)), column.type)
            continue
        if old.name != column.name:
            yield Change("column renamed", was.name, old.name, told=column.name)
        if old.type != column.type:
            yield Change("type changed", was.name, column.name, told=f"{old.type} to {column.type}")
        if column.required and not old.required:
            yield Change("not null set", was.name, column.name)
    for number, column in was.columns.items():
        if number not in now.columns:
            yield Change("column dropped", was.name, column.name)


def _about(column: Column) -> Iterator[str]:
    for name in ("required", "default", "serial", "identity", "generated", "checked"):
        if getattr(column, name):
            yield name


def _constraints(was: Relation, now: Relation, before: Relations, after: Relations) -> Iterator[Change]:
    for oid, one in now.constraints.items():
        old = was.constraints.get(oid)
        peer = _name(one.peer, after)
        if old is None:
            yield Change("constraint added", was.name, one.name, frozenset(_of_constraint(one, before)), peer)
        elif one.valid and not old.valid:
            yield Change("constraint validated", was.name, one.name, frozenset({one.kind}), peer)
    for oid, one in was.constraints.items():
        if oid not in now.constraints:
            told = _name(one.peer, before)
            yield Change("constraint dropped", was.name, one.name, frozenset({one.kind}), told)


def _of_constraint(one: Constraint, before: Relations) -> Iterator[str]:
    yield one.kind
    if one.valid:
        yield "valid"
    if one.index in before:
        yield "by an index that was there"


def _name(oid: int, known: Relations) -> str:
    return known[oid].name if oid in known else ""


def _triggers(was: Relation, now: Relation) -> Iterator[Change]:
    names, old = _names(now.triggers), _names(was.triggers)
    for name in sorted(names.keys() | old.keys()):
        if name not in old:
            yield Change("trigger added", was.name, name)
        elif name not in names:
            yield Change("trigger dropped", was.name, name)
        elif names[name] != old[name]:
            yield Change("trigger changed", was.name, name)


def _names(triggers: Collection[str]) -> dict[str, str]:
    """Part a trigger's name from how it is enabled."""
    return {one[1:]: one[0] for one in triggers}


def _parents(was: Relation, now: Relation, after: Relations) -> Iterator[Change]:
    for parent in now.parents:
        if parent not in was.parents:
            yield Change("attached", _name(parent, after), was.name)
    for parent in was.parents:
        if parent not in now.parents:
            yield Change("detached", _name(parent, after), was.name)
