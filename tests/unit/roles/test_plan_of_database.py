"""Owners and grants: the two properties of every planner, and who keeps what."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, assert_never

from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk, Statement
from dbops.operations.roles.actions import (
    DatabaseAction,
    Grant,
    GrantDefault,
    InstallLedger,
    Revoke,
    RevokeDefault,
    SetOwner,
)
from dbops.operations.roles.facts import TABLES as TABLE_KINDS
from dbops.operations.roles.facts import (
    DatabaseFacts,
    DatabaseWish,
    DefaultAcl,
    Entry,
    Kind,
    Membership,
    Rule,
    Securable,
    Session,
)
from dbops.operations.roles.plan import plan_database

ROLES = ["owner", "maker", "app", 'quo"te', "new\nline", "%s {}", "ü" * 31, "PUBLIC", "stranger", "nobody"]
SCHEMAS = ["public", 'sch"ema\n']
TABLES = ["t", "audit_log", "%s", "{}", "x" * 63, 'na"me', "new\nline"]
PRIVILEGES = {
    Kind.DATABASE: ["CONNECT", "TEMPORARY", "CREATE"],
    Kind.SCHEMA: ["USAGE", "CREATE"],
    Kind.TABLE: ["SELECT", "INSERT", "UPDATE", "DELETE"],
    Kind.SEQUENCE: ["USAGE", "SELECT"],
    Kind.ROUTINE: ["EXECUTE"],
}

roles = st.sampled_from(ROLES)


def some(kind: Kind) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(PRIVILEGES[kind.granted_as]))


@st.composite
def acls(draw: st.DrawFn, kind: Kind, owner: str) -> tuple[Entry, ...]:
    if kind.granted_as not in PRIVILEGES:
        return ()
    entries = draw(
        st.lists(
            st.builds(
                Entry,
                grantee=st.one_of(st.none(), roles),
                privilege=st.sampled_from(PRIVILEGES[kind.granted_as]),
                by=st.sampled_from([None, None, "stranger", "owner"]),
                grantable=st.booleans(),
            ),
            max_size=4,
            unique_by=lambda e: (e.grantee, e.privilege, e.by),
        )
    )
    # nobody but the owner is the owner's grantor, and PUBLIC cannot pass anything on
    return tuple(
        replace(e, by=None if e.by == owner else e.by, grantable=e.grantable and e.grantee is not None) for e in entries
    )


@st.composite
def things(draw: st.DrawFn) -> tuple[Securable, ...]:
    def one(kind: Kind, schema: str, name: str, **more: object) -> Securable:
        owner = draw(roles)
        return Securable(kind, schema, name, owner, draw(acls(kind, owner)), **more)  # pyright: ignore[reportArgumentType]

    found = [one(Kind.DATABASE, "", "db"), *(one(Kind.SCHEMA, "", name) for name in SCHEMAS)]
    for schema in SCHEMAS:
        for name in draw(st.lists(st.sampled_from(TABLES), unique=True, max_size=2)):
            kind = draw(st.sampled_from([Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW]))
            above = ((schema, "audit_log"),) if draw(st.booleans()) else ()
            table = one(kind, schema, name, ancestors=above, reads_row_secured=draw(st.booleans()))
            found.append(table)
            if draw(st.booleans()):
                sequence = one(Kind.SEQUENCE, schema, f"{name[:59]}_seq", follows=(schema, name))
                acl = draw(acls(Kind.SEQUENCE, table.owner))
                found.append(replace(sequence, owner=table.owner, acl=acl))
        if draw(st.booleans()):
            found += [one(Kind.ROUTINE, schema, f"{schema!r}.f(%s)"), one(Kind.TYPE, schema, "mood")]
    return tuple(found)


@st.composite
def default_acls(draw: st.DrawFn) -> tuple[DefaultAcl, ...]:
    kinds = st.sampled_from([Kind.TABLE, Kind.SEQUENCE, Kind.ROUTINE])
    keys = draw(
        st.lists(st.tuples(roles, st.one_of(st.none(), st.sampled_from(SCHEMAS)), kinds), unique=True, max_size=4)
    )
    return tuple(
        DefaultAcl(c, s, k, tuple(replace(e, by=None) for e in draw(acls(k, c)) if e.by is None)) for c, s, k in keys
    )


rules = st.builds(
    Rule,
    to=st.sampled_from(ROLES[:8]),
    database=some(Kind.DATABASE),
    schemas=st.lists(st.sampled_from([*SCHEMAS, "not there"]), unique=True).map(tuple),
    schema=some(Kind.SCHEMA),
    tables=some(Kind.TABLE),
    append_only=st.sampled_from([(), ("audit_*",)]),
    new_tables=some(Kind.TABLE),
    sequences=some(Kind.SEQUENCE),
    functions=some(Kind.ROUTINE),
    row_secured_views=st.booleans(),
)
databases = st.builds(DatabaseFacts, name=st.just("db"), things=things(), defaults=default_acls(), ledger=st.just(1))
wishes = st.builds(
    DatabaseWish,
    target=st.just("db"),
    cluster=st.just("main"),
    owner=st.sampled_from([None, "owner", 'quo"te']),
    creators=st.sampled_from([(), ("maker",), ("maker", "new\nline")]),
    managed=st.just(frozenset(ROLES[:8])),
    rules=st.lists(rules, max_size=3).map(tuple),
)


Change = Callable[[tuple[Entry, ...]], tuple[Entry, ...]]


def after(facts: DatabaseFacts, actions: Iterable[DatabaseAction]) -> DatabaseFacts:
    """Model a database: what PostgreSQL makes of each action."""
    for action in actions:
        facts = _after(facts, action)
    return facts


def _after(facts: DatabaseFacts, action: DatabaseAction) -> DatabaseFacts:
    match action:
        case InstallLedger():
            return replace(facts, ledger=1)
        case SetOwner():
            moved = tuple(_given(t, action.owner) if _moves(t, action) else t for t in facts.things)
            return after(replace(facts, things=moved), action.keeps)
        case Grant():
            return _on_things(facts, action, granting(action.grantee, action.privileges))
        case Revoke():
            return _on_things(facts, action, revoking(action.grantee, action.privileges, action.by, action.option))
        case GrantDefault():
            return _on_default(facts, action, granting(action.grantee, action.privileges))
        case RevokeDefault():
            return _on_default(facts, action, revoking(action.grantee, action.privileges, None, action.option))
        case _:
            assert_never(action)


def _moves(thing: Securable, action: SetOwner) -> bool:
    place = (action.schema, action.name)
    return (thing.kind, thing.place) == (action.kind, place) or (action.kind in TABLE_KINDS and thing.follows == place)


def _given(thing: Securable, owner: str) -> Securable:
    acl = [
        replace(e, grantee=owner if e.grantee == thing.owner else e.grantee, by=None if e.by == owner else e.by)
        for e in thing.acl
    ]
    return replace(thing, owner=owner, acl=tuple(dict.fromkeys(acl)))


def granting(grantee: str, privileges: tuple[str, ...]) -> Change:
    def change(acl: tuple[Entry, ...]) -> tuple[Entry, ...]:
        had = {e.privilege for e in acl if e.grantee == grantee and e.by is None}
        return (*acl, *(Entry(grantee, privilege) for privilege in privileges if privilege not in had))

    return change


def revoking(grantee: str | None, privileges: tuple[str, ...], by: str | None, option: bool) -> Change:
    def hit(e: Entry) -> bool:
        return e.grantee == grantee and e.privilege in privileges and e.by == by

    def change(acl: tuple[Entry, ...]) -> tuple[Entry, ...]:
        if option:
            return tuple(replace(e, grantable=False) if hit(e) else e for e in acl)
        return tuple(e for e in acl if not hit(e))

    return change


def _on_things(facts: DatabaseFacts, action: Grant | Revoke, change: Change) -> DatabaseFacts:
    def hit(thing: Securable) -> bool:
        return (thing.kind.granted_as, thing.schema) == (action.kind, action.schema) and thing.name in action.names

    assert sum(map(hit, facts.things)) == len(action.names)
    return replace(facts, things=tuple(replace(t, acl=change(t.acl)) if hit(t) else t for t in facts.things))


def _on_default(facts: DatabaseFacts, action: GrantDefault | RevokeDefault, change: Change) -> DatabaseFacts:
    assert action.schema is None or action.schema in facts.schemas
    key = (action.creator, action.schema, action.kind)
    others = [d for d in facts.defaults if (d.creator, d.schema, d.kind) != key]
    [had] = [d.acl for d in facts.defaults if (d.creator, d.schema, d.kind) == key] or [()]
    return replace(facts, defaults=(*others, DefaultAcl(*key, change(had))))


def planned(facts: DatabaseFacts, wish: DatabaseWish) -> list[DatabaseAction]:
    return [step.action for step in plan_database(facts, wish).steps]


@given(databases, wishes)
def test_a_finished_plan_leaves_nothing_to_do(facts: DatabaseFacts, wish: DatabaseWish) -> None:
    assert planned(after(facts, planned(facts, wish)), wish) == []


@given(databases, wishes)
def test_every_prefix_of_a_plan_can_be_continued(facts: DatabaseFacts, wish: DatabaseWish) -> None:
    actions = planned(facts, wish)
    for cut in range(len(actions)):
        assert planned(after(facts, actions[:cut]), wish) == actions[cut:]


@given(databases, wishes)
def test_nobody_loses_for_a_moment_what_it_keeps_in_the_end(facts: DatabaseFacts, wish: DatabaseWish) -> None:
    def usable(now: DatabaseFacts) -> set[tuple[Kind, tuple[str, str], str, str]]:
        found = {(t.kind, t.place, e.grantee, e.privilege) for t in now.things for e in t.acl if e.grantee is not None}
        every = {(t.kind, t.place, t.owner, p) for t in now.things for p in PRIVILEGES.get(t.kind.granted_as, [])}
        return found | every

    actions = planned(facts, wish)
    for_good = usable(facts) & usable(after(facts, actions))
    for cut in range(len(actions)):
        assert for_good <= usable(after(facts, actions[:cut]))


@given(databases, wishes)
def test_entries_of_strangers_and_of_owners_are_never_touched(facts: DatabaseFacts, wish: DatabaseWish) -> None:
    for action in planned(facts, wish):
        if isinstance(action, Grant | Revoke):
            assert action.grantee is None or action.grantee in wish.managed
        if isinstance(action, GrantDefault | RevokeDefault):
            assert action.creator in {*wish.managed, *wish.creating}
            assert action.creator != action.grantee


@given(databases, wishes)
def test_step_ids_are_unique_and_every_line_is_one_line(facts: DatabaseFacts, wish: DatabaseWish) -> None:
    steps = plan_database(facts, wish).steps
    assert len({step.id for step in steps}) == len(steps)
    for step in steps:
        assert all(line.isprintable() for line in (step.id, step.summary, *step.notes))
        if isinstance(step.action, Revoke | RevokeDefault):
            assert step.risk is Risk.BLOCKS


@given(databases, wishes)
def test_marks_in_hostile_names_fill_nothing(facts: DatabaseFacts, wish: DatabaseWish) -> None:
    for step in plan_database(facts, wish).steps:
        for statement in step.statements:
            assert statement.text.count("{}") == len(statement.names)
            assert statement.text.count("%s") == len(statement.values)


def table(owner: str = "owner", *acl: Entry, name: str = "t", **more: Any) -> Securable:
    return Securable(more.pop("kind", Kind.TABLE), "public", name, owner, acl, **more)


PUBLIC = Securable(Kind.SCHEMA, "", "public", "pg_database_owner")
WRITER = Rule("app", schemas=("public",), tables=frozenset({"SELECT", "UPDATE"}), append_only=("audit_*",))


def wish(*rules: Rule, **more: Any) -> DatabaseWish:
    return DatabaseWish(
        "db", "main", more.pop("owner", "owner"), managed=frozenset({"app", "read"}), rules=rules, **more
    )


def test_what_somebody_else_passed_on_is_replaced_by_the_owner_s_own_grant() -> None:
    facts = DatabaseFacts("db", things=(PUBLIC, table("owner", Entry("app", "SELECT", by="read"))))
    assert planned(facts, wish(replace(WRITER, tables=frozenset({"SELECT"})))) == [
        Grant("app", Kind.TABLE, "public", ("t",), ("SELECT",)),
        Revoke("app", Kind.TABLE, "public", ("t",), ("SELECT",), by="read"),
    ]


def test_the_ledger_is_installed_first_and_only_beside_other_steps() -> None:
    install = (Statement("CREATE SCHEMA dbops"),)
    facts = DatabaseFacts("db", things=(PUBLIC, table()))
    assert isinstance(plan_database(facts, wish(WRITER), install).steps[0].action, InstallLedger)
    assert plan_database(facts, wish(), install).steps == ()


def test_an_application_that_owned_its_table_keeps_its_rights_in_the_very_transaction() -> None:
    sequence = Securable(Kind.SEQUENCE, "public", "t_id_seq", "app", follows=("public", "t"))
    rule = replace(WRITER, sequences=frozenset({"USAGE"}))
    actions = planned(DatabaseFacts("db", things=(PUBLIC, table("app"), sequence)), wish(rule))
    kept = (
        Grant("app", Kind.TABLE, "public", ("t",), ("SELECT", "UPDATE")),
        Grant("app", Kind.SEQUENCE, "public", ("t_id_seq",), ("USAGE",)),
    )
    assert SetOwner(Kind.TABLE, "public", "t", "owner", kept) in actions
    assert not [action for action in actions if isinstance(action, Grant) and action.kind is not Kind.SCHEMA]


def test_what_a_creator_made_stays_its_own() -> None:
    facts = DatabaseFacts("db", things=(PUBLIC, table("maker"), table("stranger", name="u")))
    owners = [action for action in planned(facts, wish(creators=("maker",))) if isinstance(action, SetOwner)]
    assert owners == [SetOwner(Kind.TABLE, "public", "u", "owner")]


def test_append_only_wins_over_every_other_grant_to_the_role_and_holds_for_partitions() -> None:
    log = table(name="audit_log")
    part = table(name="p1", ancestors=(("public", "audit_log"),))
    more = Rule("app", schemas=("public",), tables=frozenset({"DELETE", "TRUNCATE"}))
    actions = planned(DatabaseFacts("db", things=(PUBLIC, log, part)), wish(WRITER, more))
    assert actions == [Grant("app", Kind.TABLE, "public", ("audit_log", "p1"), ("SELECT",))]


def test_a_materialized_view_over_row_secured_tables_is_granted_only_on_request() -> None:
    facts = DatabaseFacts("db", things=(PUBLIC, table(kind=Kind.MATERIALIZED_VIEW, reads_row_secured=True)))
    assert planned(facts, wish(WRITER)) == []
    assert planned(facts, wish(replace(WRITER, row_secured_views=True))) != []


def test_everybody_loses_the_database_tables_and_create_but_keeps_execute_and_usage() -> None:
    every = (
        replace(table(), acl=(Entry(None, "SELECT"),)),
        Securable(Kind.DATABASE, "", "db", "owner", (Entry(None, "CONNECT"), Entry(None, "TEMPORARY"))),
        replace(PUBLIC, acl=(Entry(None, "USAGE"), Entry(None, "CREATE"))),
        Securable(Kind.ROUTINE, "public", "public.f()", "owner", (Entry(None, "EXECUTE"),)),
    )
    assert planned(DatabaseFacts("db", things=every), wish()) == [
        Revoke(None, Kind.DATABASE, "", ("db",), ("CONNECT", "TEMPORARY")),
        Revoke(None, Kind.SCHEMA, "", ("public",), ("CREATE",)),
        Revoke(None, Kind.TABLE, "public", ("t",), ("SELECT",)),
    ]


def test_a_revoke_lists_the_connections_of_those_who_inherit_the_right() -> None:
    facts = DatabaseFacts(
        "db",
        things=(PUBLIC, table("owner", Entry("app", "DELETE"))),
        memberships=(Membership("app", "svc"),),
        sessions=(Session("svc", "db", "web", "10.0.0.7", 2), Session("other", "db", "psql", "", 1)),
    )
    [step] = [step for step in plan_database(facts, wish()).steps if isinstance(step.action, Revoke)]
    assert step.risk is Risk.BLOCKS
    assert any("2 connections" in note and "svc web from 10.0.0.7" in note for note in step.notes)
    assert not any("psql" in note for note in step.notes)


def test_every_creating_role_gets_default_privileges_and_what_is_stale_goes() -> None:
    stale = DefaultAcl("owner", None, Kind.TABLE, (Entry("read", "SELECT"), Entry("stranger", "SELECT")))
    rule = Rule("app", schemas=("public",), new_tables=frozenset({"SELECT"}))
    actions = planned(DatabaseFacts("db", things=(PUBLIC,), defaults=(stale,)), wish(rule, creators=("maker",)))
    assert actions == [
        GrantDefault("maker", "public", Kind.TABLE, "app", ("SELECT",)),
        GrantDefault("owner", "public", Kind.TABLE, "app", ("SELECT",)),
        RevokeDefault("owner", None, Kind.TABLE, "read", ("SELECT",)),
    ]
