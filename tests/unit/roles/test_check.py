"""Findings about roles and rights: each one seen, and none where all is well."""

from dataclasses import replace
from typing import Any

import pytest

from dbops.engine.finding import Severity
from dbops.operations.roles.check import check_cluster, check_database, unverified
from dbops.operations.roles.facts import (
    Attributes,
    ClusterFacts,
    ClusterWish,
    DatabaseFacts,
    DatabaseWish,
    DefaultAcl,
    Entry,
    Holding,
    Kind,
    Password,
    PasswordKind,
    PasswordState,
    RoleFacts,
    RoleWish,
    Rule,
    SecretWish,
    Securable,
)

LOGIN = Attributes(login=True)
BOOT = RoleFacts("postgres", Attributes(login=True, superuser=True), bootstrap=True)
SECRET = SecretWish(variable="${X}")
GOOD = Password(PasswordKind.SCRAM, PasswordState.MATCHES)


def cluster(
    *roles: RoleFacts, wishes: tuple[RoleWish, ...] = (), steps: int = 0, **more: Any
) -> list[tuple[str, Severity]]:
    facts = ClusterFacts("postgres", 150000, (BOOT, *roles), **more)
    return [(f.code, f.severity) for f in check_cluster(facts, ClusterWish("main", wishes), steps=steps)]


def test_a_cluster_as_declared_has_no_findings() -> None:
    assert (
        cluster(RoleFacts("svc", LOGIN, password=GOOD), wishes=(RoleWish("svc", attributes=LOGIN, secret=SECRET),))
        == []
    )


@pytest.mark.parametrize(
    ("role", "codes"),
    [
        (RoleFacts("x", LOGIN), {"DBR111"}),
        (RoleFacts("x", Attributes(superuser=True)), {"DBR110"}),
        (RoleFacts("x", Attributes(bypassrls=True)), {"DBR113"}),
        (RoleFacts("x", LOGIN, password=Password(PasswordKind.MD5)), {"DBR111", "DBR120"}),
        (RoleFacts("x"), set[str]()),
    ],
)
def test_roles_that_nobody_declared_are_told_by_what_they_can_do(role: RoleFacts, codes: set[str]) -> None:
    assert {code for code, _ in cluster(role)} == codes


@pytest.mark.parametrize(
    ("password", "code", "severity"),
    [
        (Password(PasswordKind.NONE, PasswordState.DIFFERS), "DBR121", Severity.WARNING),
        (Password(PasswordKind.MD5, PasswordState.MATCHES), "DBR120", Severity.WARNING),
        (Password(PasswordKind.UNKNOWN, PasswordState.UNKNOWN), "DBR122", Severity.UNKNOWN),
        (Password(PasswordKind.SCRAM, PasswordState.UNKNOWN, "no file"), "DBR123", Severity.UNKNOWN),
    ],
)
def test_a_password_that_is_weak_missing_or_unverified_is_told(
    password: Password, code: str, severity: Severity
) -> None:
    wish = RoleWish("svc", attributes=LOGIN, secret=SECRET)
    assert cluster(RoleFacts("svc", LOGIN, password=password), wishes=(wish,)) == [(code, severity)]


def test_a_plan_tells_what_it_could_not_compare() -> None:
    facts = ClusterFacts(
        "x", 150000, (RoleFacts("svc", LOGIN, password=Password(PasswordKind.UNKNOWN, PasswordState.UNKNOWN)),)
    )
    [finding] = unverified(facts, ClusterWish("main", (RoleWish("svc", secret=SECRET), RoleWish("new", secret=SECRET))))
    assert finding.severity is Severity.UNKNOWN
    assert "pg_authid" in (finding.hint or "")


def test_drift_and_roles_that_cannot_be_dropped_are_told() -> None:
    found = cluster(
        RoleFacts("old"), wishes=(RoleWish("old", absent=True),), steps=2, holdings=(Holding("old", "shop", 3, 0),)
    )
    assert found == [("DBR101", Severity.WARNING), ("DBR102", Severity.WARNING)]


PUBLIC = Securable(Kind.SCHEMA, "", "public", "owner", (Entry(None, "USAGE"),))
WISH = DatabaseWish("shop", "main", "owner", managed=frozenset({"app", "owner"}))
DEFINER = Securable(Kind.ROUTINE, "public", "public.f()", "owner", definer=True)
EXECUTE = (Entry(None, "EXECUTE"),)
READ = (Entry("app", "SELECT"),)


def database(*things: Securable, wish: DatabaseWish = WISH, **more: Any) -> list[tuple[str, Severity]]:
    facts = DatabaseFacts("shop", things=(PUBLIC, *things), **more)
    return [(f.code, f.severity) for f in check_database(facts, wish, steps=0)]


def secured(kind: Kind, acl: tuple[Entry, ...] = READ, *, invoker: bool = False) -> Securable:
    return Securable(kind, "public", "v", "owner", acl, reads_row_secured=True, invoker=invoker)


@pytest.mark.parametrize(
    ("thing", "found"),
    [
        (Securable(Kind.DATABASE, "", "shop", "o", (Entry(None, "CONNECT"),)), [("DBR130", Severity.WARNING)]),
        (Securable(Kind.TABLE, "public", "t", "o", (Entry(None, "SELECT"),)), [("DBR130", Severity.BAD)]),
        (Securable(Kind.SCHEMA, "", "s", "o", (Entry(None, "CREATE"),)), [("DBR130", Severity.BAD)]),
        (Securable(Kind.ROUTINE, "public", "public.f()", "o", EXECUTE), []),
        (DEFINER, [("DBR140", Severity.WARNING)]),
        (replace(DEFINER, acl=EXECUTE), [("DBR140", Severity.BAD), ("DBR141", Severity.WARNING)]),
        (replace(DEFINER, acl=EXECUTE, search_path=True), [("DBR141", Severity.WARNING)]),
        (replace(DEFINER, search_path=True), []),
        (secured(Kind.MATERIALIZED_VIEW), [("DBR150", Severity.BAD)]),
        (secured(Kind.MATERIALIZED_VIEW, ()), []),
        (secured(Kind.VIEW), [("DBR151", Severity.WARNING)]),
        (secured(Kind.VIEW, invoker=True), []),
    ],
)
def test_each_object_is_judged(thing: Securable, found: list[tuple[str, Severity]]) -> None:
    assert database(thing, bypassing=frozenset({"owner"})) == found


def test_a_reader_that_no_row_security_holds_anyway_or_that_is_allowed_is_no_finding() -> None:
    rule = Rule("app", schemas=("public",), row_secured_views=True)
    view = secured(Kind.MATERIALIZED_VIEW)
    assert database(view, bypassing=frozenset({"app"})) == []
    assert database(view, wish=replace(WISH, rules=(rule,))) == []


def test_missing_default_privileges_are_told_until_they_are_there() -> None:
    wish = replace(WISH, rules=(Rule("app", schemas=("public",), new_tables=frozenset({"SELECT"})),))
    assert database(wish=wish) == [("DBR160", Severity.WARNING)]
    assert database(wish=wish, defaults=(DefaultAcl("owner", "public", Kind.TABLE, READ),)) == []


def test_append_only_tables_whose_new_partitions_would_not_be_are_told() -> None:
    rule = Rule("app", schemas=("public",), append_only=("audit_*",), new_tables=frozenset({"SELECT", "UPDATE"}))
    there = DefaultAcl("owner", "public", Kind.TABLE, (*READ, Entry("app", "UPDATE")))
    assert database(wish=replace(WISH, rules=(rule,)), defaults=(there,)) == [("DBR161", Severity.WARNING)]


def test_a_schema_that_is_not_there_yet_and_privileges_on_columns_are_told() -> None:
    wish = replace(WISH, rules=(Rule("app", schemas=("later",)),))
    columns = (("public", "t", "app"), ("public", "t", "stranger"))
    assert database(wish=wish, columns=columns) == [("DBR103", Severity.INFO), ("DBR170", Severity.WARNING)]
