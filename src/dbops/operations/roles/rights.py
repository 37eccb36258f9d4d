"""Who is meant to have which privilege on which object, and who has more or less; pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from dbops.operations.roles.facts import TABLES, DatabaseFacts, DatabaseWish, DefaultAcl, Entry, Kind, Rule, Securable

_CHANGING = frozenset({"UPDATE", "DELETE", "TRUNCATE"})
_FOR_ALL_OWNERS = "pg_database_owner"  # since 14 it owns schema public: whoever owns the database is its member


def owner_after(thing: Securable, wish: DatabaseWish, things: dict[tuple[str, str], Securable]) -> str:
    """Tell who owns `thing` when the plan is done: what a creating role made stays its own."""
    if thing.follows is not None and thing.follows in things:
        return owner_after(things[thing.follows], wish, things)
    if wish.owner is None or thing.follows is not None:
        return thing.owner
    if thing.kind is Kind.DATABASE:
        return wish.owner
    if thing.kind is Kind.SCHEMA:
        return thing.owner if thing.owner == _FOR_ALL_OWNERS else wish.owner
    if thing.definer:
        return thing.owner  # it would run with the new owner's rights: that is for a person to decide (DBR142)
    return thing.owner if thing.owner in wish.creating else wish.owner


def reowned(thing: Securable, owner: str) -> Securable:
    """Do to an access control list what ALTER ... OWNER does: the new owner stands wherever the old one stood."""
    if owner == thing.owner:
        return thing
    entries = [
        replace(
            entry,
            grantee=owner if entry.grantee == thing.owner else entry.grantee,
            by=None if entry.by == owner else entry.by,
        )
        for entry in thing.acl
    ]
    return replace(thing, owner=owner, acl=tuple(dict.fromkeys(entries)))


def tables_of(facts: DatabaseFacts) -> dict[tuple[str, str], Securable]:
    return {thing.place: thing for thing in facts.things if thing.kind in TABLES}


def wished(thing: Securable, wish: DatabaseWish) -> dict[str, frozenset[str]]:
    """Tell what each managed role shall have on one object. Several grants to one role add up."""
    rights: dict[str, frozenset[str]] = {}
    kept: dict[str, bool] = {}
    for rule in wish.rules:
        if rule.to not in wish.managed:
            continue
        rights[rule.to] = rights.get(rule.to, frozenset()) | _by_rule(thing, rule)
        kept[rule.to] = kept.get(rule.to, False) or _append_only(thing, rule)
    # what one grant declares append-only no other grant to the same role opens again
    return {role: had - _CHANGING if kept[role] else had for role, had in rights.items()}


def _by_rule(thing: Securable, rule: Rule) -> frozenset[str]:
    if thing.kind is Kind.DATABASE:
        return rule.database
    if thing.kind is Kind.SCHEMA:
        return rule.schema if thing.name in rule.schemas else frozenset()
    if thing.schema not in rule.schemas:
        return frozenset()
    if thing.kind is Kind.MATERIALIZED_VIEW and thing.reads_row_secured and not rule.row_secured_views:
        return frozenset()  # it was filled by a role that no row security holds, and shows all of it to everybody
    if thing.kind in TABLES:
        return rule.tables
    if thing.kind is Kind.SEQUENCE:
        return rule.sequences
    return rule.functions if thing.kind is Kind.ROUTINE else frozenset()


def _append_only(thing: Securable, rule: Rule) -> bool:
    if thing.kind not in TABLES:
        return False
    return any(matches(pattern, place) for pattern in rule.append_only for place in (thing.place, *thing.ancestors))


def matches(pattern: str, place: tuple[str, str]) -> bool:
    """Match a shell pattern against a table, by its name alone or with its schema."""
    return fnmatchcase(place[1], pattern) or fnmatchcase(".".join(place), pattern)


def of_everybody(kind: Kind) -> frozenset[str] | None:
    """Name what PUBLIC must not have on a kind of object; None: anything at all."""
    if kind is Kind.SCHEMA:
        return frozenset({"CREATE"})
    # EXECUTE is left: trigger functions and extensions count on it, and the check tells where it hurts
    return frozenset() if kind in {Kind.ROUTINE, Kind.TYPE, Kind.DOMAIN} else None


@dataclass(frozen=True, slots=True)
class Excess:
    """Privileges that are too many; only the right to pass them on, when `option` is set."""

    grantee: str | None
    privileges: frozenset[str]
    by: str | None
    option: bool = False


def missing(acl: Iterable[Entry], grantee: str, want: frozenset[str]) -> frozenset[str]:
    # what somebody else passed on ends with that somebody's right: only the owner's word counts
    return want - {entry.privilege for entry in acl if entry.grantee == grantee and entry.by is None}


def excess(
    acl: Iterable[Entry], owner: str, want: dict[str, frozenset[str]], managed: frozenset[str], kind: Kind
) -> Iterator[Excess]:
    """Find what managed roles and PUBLIC have beyond their wishes; unmanaged roles are nobody's business here."""
    whole: dict[tuple[str | None, str | None], set[str]] = {}
    option: dict[tuple[str | None, str | None], set[str]] = {}
    for entry in acl:
        if entry.grantee == owner:
            continue
        key = (entry.grantee, entry.by)
        if _too_much(entry, want, managed, kind):
            whole.setdefault(key, set()).add(entry.privilege)
        elif entry.grantable and entry.grantee in managed:
            option.setdefault(key, set()).add(entry.privilege)
    for found, only_option in ((option, True), (whole, False)):
        for (grantee, by), privileges in found.items():
            yield Excess(grantee, frozenset(privileges), by, only_option)


def _too_much(entry: Entry, want: dict[str, frozenset[str]], managed: frozenset[str], kind: Kind) -> bool:
    if entry.grantee is None:
        undue = of_everybody(kind)
        return undue is None or entry.privilege in undue
    wanted = entry.privilege in want.get(entry.grantee, frozenset()) and entry.by is None
    return entry.grantee in managed and not wanted


def wished_default(default: DefaultAcl, wish: DatabaseWish) -> dict[str, frozenset[str]]:
    """Tell what each managed role shall be granted on what `creator` makes in this schema from now on."""
    rights: dict[str, frozenset[str]] = {}
    if default.creator not in wish.creating or default.schema is None:
        return rights
    for rule in wish.rules:
        if rule.to in wish.managed and rule.to != default.creator and default.schema in rule.schemas:
            rights[rule.to] = rights.get(rule.to, frozenset()) | _of_new(default.kind, rule)
    return rights


def _of_new(kind: Kind, rule: Rule) -> frozenset[str]:
    if kind is Kind.TABLE:
        return rule.new_tables
    if kind is Kind.SEQUENCE:
        return rule.sequences
    return rule.functions if kind is Kind.ROUTINE else frozenset()


def all_defaults(facts: DatabaseFacts, wish: DatabaseWish) -> list[DefaultAcl]:
    """List the default privileges that matter: those that are there, and an empty one wherever one may be wished."""
    there = {(d.creator, d.schema, d.kind): d for d in facts.defaults}
    ours = {*wish.creating, *wish.managed}
    schemas = sorted({name for rule in wish.rules for name in rule.schemas} & facts.schemas)
    for creator in wish.creating:
        for schema in schemas:
            for kind in (Kind.TABLE, Kind.SEQUENCE, Kind.ROUTINE):
                there.setdefault((creator, schema, kind), DefaultAcl(creator, schema, kind, ()))
    found = [d for d in there.values() if d.creator in ours]
    return sorted(found, key=lambda d: (d.creator, d.schema is not None, d.schema or "", d.kind))
