"""Owners, privileges and default privileges of one database; pure.

Only entries of declared roles and of PUBLIC are touched. Grants come first, then owners, then what is taken away:
whoever is to keep a right is never without it.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from dbops.engine.plan import Plan, Risk, Statement, Step
from dbops.operations.roles import rights, sql
from dbops.operations.roles.actions import (
    DatabaseAction,
    Grant,
    GrantDefault,
    InstallLedger,
    Revoke,
    RevokeDefault,
    SetOwner,
)
from dbops.operations.roles.facts import RELATIONS, DatabaseFacts, DatabaseWish, Kind, Securable
from dbops.operations.roles.words import connections, told, told_grantee, told_object, told_objects

DatabaseStep = Step[DatabaseAction]

_ORDER = tuple(Kind)
_GRANTABLE = RELATIONS | {Kind.DATABASE, Kind.SCHEMA, Kind.ROUTINE}


def plan_database(
    facts: DatabaseFacts, wish: DatabaseWish, install: tuple[Statement, ...] = ()
) -> Plan[DatabaseAction]:
    """Compare one database with its wish. `install` is what the ledger still needs, as its first, visible step."""
    changes = _changes(facts, wish)
    steps = [*_grants(changes), *_grant_defaults(facts, wish), *_owners(changes, facts)]
    steps += [*_revokes(changes, facts), *_revoke_defaults(facts, wish)]
    if steps and install:
        word = "install" if facts.ledger is None else "upgrade"
        steps.insert(
            0,
            Step(
                f"{word} schema dbops",
                f"{word} schema dbops, which records what was done",
                InstallLedger(install),
                statements=install,
            ),
        )
    return Plan(wish.target, "owners and grants", tuple(steps))


@dataclass(frozen=True, slots=True)
class _Change:
    """One object: how it will be owned, what is missing then, and what is too much then."""

    thing: Securable
    owner: str
    missing: tuple[tuple[str, tuple[str, ...]], ...]
    excess: tuple[rights.Excess, ...]

    @property
    def disowned(self) -> str | None:
        return self.thing.owner if self.owner != self.thing.owner else None


def _changes(facts: DatabaseFacts, wish: DatabaseWish) -> list[_Change]:
    tables = rights.tables_of(facts)
    return [_change(thing, rights.owner_after(thing, wish, tables), wish) for thing in facts.things]


def _change(thing: Securable, owner: str, wish: DatabaseWish) -> _Change:
    if thing.kind not in _GRANTABLE:
        return _Change(thing, owner, (), ())
    acl = rights.reowned(thing, owner).acl
    want = rights.wished(thing, wish)
    lacking = [
        (role, tuple(sorted(missing)))
        for role, wanted in sorted(want.items())
        if role != owner and (missing := rights.missing(acl, role, wanted))
    ]
    return _Change(thing, owner, tuple(lacking), tuple(rights.excess(acl, owner, want, wish.managed, thing.kind)))


def _grants(changes: list[_Change]) -> Iterator[DatabaseStep]:
    groups: dict[tuple[str, Kind, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for change in changes:
        for role, privileges in change.missing:
            if role != change.disowned:  # an owner cannot be granted what it is about to lose: see `keeps`
                kind = change.thing.kind.granted_as
                groups[role, kind, change.thing.schema, privileges].append(change.thing.name)
    for (role, kind, schema, privileges), names in sorted(groups.items(), key=lambda g: (_ORDER.index(g[0][1]), g[0])):
        action = Grant(role, kind, schema, tuple(sorted(names)), privileges)
        what = f"{', '.join(privileges)} on {told_objects(kind, schema, names)} to {told(role)}"
        yield Step(f"grant {_id(action)} to {told(role)}", f"grant {what}", action, statements=(_grant(action),))


def _grant(action: Grant) -> Statement:
    return sql.grant(action.kind, action.schema, action.names, action.privileges, action.grantee)


def _id(action: Grant | Revoke) -> str:
    # by schema, not by object: the same step keeps its id when one more table has come
    where = f"{action.kind.lower()}s of {told(action.schema)}" if action.schema else f"{action.kind.lower()}s"
    return f"{', '.join(action.privileges)} on {where}"


def _owners(changes: list[_Change], facts: DatabaseFacts) -> Iterator[DatabaseStep]:
    followers: dict[tuple[str, str], list[_Change]] = defaultdict(list)
    for change in changes:
        if change.thing.follows is not None:
            followers[change.thing.follows].append(change)
    moved = [change for change in changes if change.disowned and change.thing.follows is None]
    for change in sorted(moved, key=lambda c: (_ORDER.index(c.thing.kind), c.thing.place)):
        thing = change.thing
        keeps = [
            keep
            for c in (change, *followers[thing.place])
            if thing.kind in RELATIONS or c is change
            for keep in _keeps(c)
        ]
        name = told_object(thing.kind, thing.schema, thing.name)
        statement = sql.set_owner(thing.kind, thing.schema, thing.name, change.owner)
        notes = [sql.lock_of(thing.kind), f"{told(thing.owner)} stops being its owner"]
        if thing.kind in RELATIONS:
            notes.append(connections(thing.owner, facts.sessions, facts.memberships))
        yield Step(
            f"owner of {name}",
            f"give {name} to {told(change.owner)}",
            SetOwner(thing.kind, thing.schema, thing.name, change.owner, tuple(keeps)),
            Risk.BLOCKS,
            (statement, *map(_grant, keeps)),
            tuple(notes),
        )


def _keeps(change: _Change) -> Iterator[Grant]:
    for role, privileges in change.missing:
        if role == change.disowned:
            thing = change.thing
            yield Grant(role, thing.kind.granted_as, thing.schema, (thing.name,), privileges)


def _revokes(changes: list[_Change], facts: DatabaseFacts) -> Iterator[DatabaseStep]:
    groups: dict[tuple[str | None, Kind, str, tuple[str, ...], str | None, bool], list[str]] = defaultdict(list)
    for change in changes:
        for found in change.excess:
            kind = change.thing.kind.granted_as
            key = (found.grantee, kind, change.thing.schema, tuple(sorted(found.privileges)), found.by, found.option)
            groups[key].append(change.thing.name)
    actions = [
        Revoke(g, kind, schema, tuple(sorted(names)), p, by, option)
        for (g, kind, schema, p, by, option), names in groups.items()
    ]
    # what a grantee passed on goes before what it was given: otherwise "dependent privileges exist"
    actions.sort(
        key=lambda a: (
            a.by is None,
            _ORDER.index(a.kind),
            a.grantee or "",
            a.grantee is not None,
            a.schema,
            a.by or "",
            a.option,
            a.privileges,
        )
    )
    for action in actions:
        yield _revoke(action, facts)


def _revoke(action: Revoke, facts: DatabaseFacts) -> DatabaseStep:
    only = "the right to pass on " if action.option else ""
    by = f" that {told(action.by)} granted" if action.by is not None else ""
    what = f"{only}{', '.join(action.privileges)} on {told_objects(action.kind, action.schema, action.names)}{by}"
    return Step(
        f"revoke {only}{_id(action)}{by} from {told_grantee(action.grantee)}",
        f"revoke {what} from {told_grantee(action.grantee)}",
        action,
        Risk.BLOCKS,
        sql.revoke(
            action.kind,
            action.schema,
            action.names,
            action.privileges,
            action.grantee,
            by=action.by,
            option=action.option,
        ),
        (
            connections(action.grantee, facts.sessions, facts.memberships),
            "takes no table lock; statements that begin afterwards are refused",
        ),
    )


def _grant_defaults(facts: DatabaseFacts, wish: DatabaseWish) -> Iterator[DatabaseStep]:
    for default in rights.all_defaults(facts, wish):
        for role, wanted in sorted(rights.wished_default(default, wish).items()):
            lacking = tuple(sorted(rights.missing(default.acl, role, wanted)))
            if not lacking or default.schema is None:
                continue
            action = GrantDefault(default.creator, default.schema, default.kind, role, lacking)
            of = f"new {default.kind.lower()}s of {told(default.creator)} in {told(default.schema)}"
            what = f"{', '.join(lacking)} on {of}"
            yield Step(
                f"grant {what} to {told(role)}",
                f"grant {what} to {told(role)}",
                action,
                statements=(sql.grant_default(default.creator, default.schema, default.kind, lacking, role),),
            )


def _revoke_defaults(facts: DatabaseFacts, wish: DatabaseWish) -> Iterator[DatabaseStep]:
    for default in rights.all_defaults(facts, wish):
        wanted = rights.wished_default(default, wish)
        found = rights.excess(default.acl, default.creator, wanted, wish.managed, default.kind)
        for extra in sorted(found, key=lambda e: (e.grantee or "", e.grantee is not None, e.option)):
            action = RevokeDefault(
                default.creator,
                default.schema,
                default.kind,
                extra.grantee,
                tuple(sorted(extra.privileges)),
                extra.option,
            )
            yield _revoke_default(action, facts)


def _revoke_default(action: RevokeDefault, facts: DatabaseFacts) -> DatabaseStep:
    where = f" in {told(action.schema)}" if action.schema is not None else ""
    only = "the right to pass on " if action.option else ""
    what = f"{only}{', '.join(action.privileges)} on new {action.kind.lower()}s of {told(action.creator)}{where}"
    statement = sql.revoke_default(
        action.creator, action.schema, action.kind, action.privileges, action.grantee, option=action.option
    )
    return Step(
        f"revoke {what} from {told_grantee(action.grantee)}",
        f"revoke {what} from {told_grantee(action.grantee)}",
        action,
        Risk.BLOCKS,
        (statement,),
        (connections(action.grantee, facts.sessions, facts.memberships), "concerns only what is made from now on"),
    )
