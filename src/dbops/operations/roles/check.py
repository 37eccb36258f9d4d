"""What is wrong, or worth knowing, about roles and rights; pure. Codes are stable."""

from collections.abc import Iterable, Iterator

from dbops.engine.finding import Finding, Severity
from dbops.operations.roles import rights
from dbops.operations.roles.facts import (
    TABLES,
    ClusterFacts,
    ClusterWish,
    DatabaseFacts,
    DatabaseWish,
    Kind,
    PasswordKind,
    PasswordState,
    RoleFacts,
    RoleWish,
    Securable,
)
from dbops.operations.roles.words import told, told_grantee, told_object

_SHOWN = 5


def check_cluster(facts: ClusterFacts, wish: ClusterWish, *, steps: int) -> list[Finding]:
    """Judge the roles of a cluster; `steps` is what the plan still has to do."""
    target = wish.cluster
    found = [*drift(target, steps)]
    for role in sorted(facts.roles, key=lambda role: role.name):
        found += _role(facts, role, wish.role(role.name), target)
    found += _foreign_members(facts, wish)
    found += not_droppable(facts, wish)
    return found


def drift(target: str, steps: int) -> Iterator[Finding]:
    if steps:
        yield Finding(
            Severity.WARNING,
            "DBR101",
            target,
            f"{steps} step{'s' * (steps > 1)} away from the configuration",
            f"dbops roles plan --target {target}",
        )


def _role(facts: ClusterFacts, role: RoleFacts, want: RoleWish | None, target: str) -> Iterator[Finding]:
    name = told(role.name)
    of_ours = role.bootstrap or role.name == facts.connected_as
    declare = f"declare [roles.{name}], or: ALTER ROLE {name}"
    if want is None and not of_ours:
        if role.attributes.superuser:
            yield Finding(
                Severity.WARNING, "DBR110", target, f"{name} is superuser and not declared", f"{declare} NOSUPERUSER"
            )
        elif role.attributes.bypassrls:
            yield Finding(
                Severity.WARNING, "DBR113", target, f"{name} is not declared, yet row security does not hold it",
                f"{declare} NOBYPASSRLS",
            )  # fmt: skip
        if role.attributes.login:
            yield Finding(
                Severity.WARNING, "DBR111", target, f"{name} can log in and is not declared", f"{declare} NOLOGIN"
            )
    elif want is not None and role.attributes.superuser and want.attributes.superuser and not of_ours:
        yield Finding(Severity.INFO, "DBR112", target, f"{name} is superuser, as declared", None)
    if want is not None and role.expired and role.attributes.login:
        yield Finding(
            Severity.WARNING, "DBR124", target, f"the password of {name} has expired: nobody logs in with it",
            f"ALTER ROLE {name} VALID UNTIL 'infinity'",
        )  # fmt: skip
    if role.attributes.login and not (want is not None and want.absent):
        yield from _password(role, want, target)
    elif want is not None and want.secret is not None and not want.absent:
        yield from unverified_password(role, target)


def _password(role: RoleFacts, want: RoleWish | None, target: str) -> Iterator[Finding]:
    name = told(role.name)
    declared = want is not None and want.secret is not None
    if role.password.kind is PasswordKind.MD5:
        yield Finding(
            Severity.WARNING,
            "DBR120",
            target,
            f"the password of {name} is stored as md5, which is as good as the password itself",
            f"dbops roles apply --target {target}" if declared else f"declare [roles.{name}] password, or set it anew",
        )
    elif role.password.kind is PasswordKind.NONE and declared:
        yield Finding(
            Severity.WARNING, "DBR121", target, f"{name} has no password, though one is declared",
            f"dbops roles apply --target {target}",
        )  # fmt: skip
    if declared:
        yield from unverified_password(role, target)


def unverified_password(role: RoleFacts, target: str) -> Iterator[Finding]:
    """Tell of a declared password that nobody could compare with the stored one."""
    if PasswordKind.UNKNOWN is role.password.kind:
        yield Finding(
            Severity.UNKNOWN,
            "DBR122",
            target,
            f"could not verify the password of {told(role.name)}: {role.password.why or 'pg_authid is not readable'}",
            "connect as superuser, or: GRANT SELECT ON pg_catalog.pg_authid TO the administrator of [cluster]",
        )
    elif PasswordState.UNKNOWN is role.password.state:
        yield Finding(
            Severity.UNKNOWN,
            "DBR123",
            target,
            f"could not verify the password of {told(role.name)}: {role.password.why}",
            "dbops config check tries every secret",
        )


def unverified(facts: ClusterFacts, wish: ClusterWish) -> list[Finding]:
    """Tell what a plan could not look at, so that an empty plan is not taken for a pass."""
    return [
        finding
        for want in wish.roles
        if want.secret is not None and not want.absent and (have := facts.role(want.name)) is not None
        for finding in unverified_password(have, wish.cluster)
    ]


def lacking_power(facts: ClusterFacts, wish: ClusterWish, *, steps: int) -> Iterator[Finding]:
    """Say before the first step that some may be refused."""
    own = facts.role(facts.connected_as)
    if steps and own is not None and not own.attributes.superuser:
        yield Finding(
            Severity.INFO,
            "DBR104",
            wish.cluster,
            f"dbops is connected as {told(own.name)}, which is not superuser: the server may refuse some steps",
            "what was done stays done; the refused step names the right it needs",
        )


def not_droppable(facts: ClusterFacts, wish: ClusterWish) -> Iterator[Finding]:
    gone = {role.name for role in wish.roles if role.absent}
    for holding in sorted(facts.holdings):
        if holding.role in gone and holding.owned:
            name, where = told(holding.role), told(holding.database)
            yield Finding(
                Severity.WARNING,
                "DBR102",
                wish.cluster,
                f"{name} is declared absent, but owns {holding.owned} objects in {where}: not dropped",
                f"dbops roles apply gives a declared database to its owner; elsewhere: REASSIGN OWNED BY {name} TO ...",
            )


def check_database(facts: DatabaseFacts, wish: DatabaseWish, *, steps: int) -> list[Finding]:
    """Judge the rights in one database; `steps` is what the plan still has to do."""
    target = wish.target
    found = [*drift(target, steps), *unknown_schemas(facts, wish)]
    for thing in sorted(facts.things, key=lambda thing: (tuple(Kind).index(thing.kind), thing.place)):
        found += _public(thing, target)
        found += _definer(thing, target)
        found += _row_secured(thing, facts, wish)
    found += _defaults(facts, wish)
    found += _columns(facts, wish)
    found += _foreign_definers(facts, wish)
    return found


def unknown_schemas(facts: DatabaseFacts, wish: DatabaseWish) -> Iterator[Finding]:
    for schema in sorted({name for rule in wish.rules for name in rule.schemas} - facts.schemas):
        yield Finding(
            Severity.INFO, "DBR103", wish.target, f"schema {told(schema)} does not exist yet: nothing is granted in it"
        )


def _public(thing: Securable, target: str) -> Iterator[Finding]:
    undue = rights.of_everybody(thing.kind)
    has = {entry.privilege for entry in thing.acl if entry.grantee is None}
    too_much = sorted(has if undue is None else has & undue)
    if too_much:
        name = told_object(thing.kind, thing.schema, thing.name)
        severity = Severity.WARNING if thing.kind is Kind.DATABASE else Severity.BAD
        yield Finding(
            severity, "DBR130", target, f"everybody (PUBLIC) has {', '.join(too_much)} on {name}",
            f"dbops roles apply --target {target}",
        )  # fmt: skip


def _definer(thing: Securable, target: str) -> Iterator[Finding]:
    if not thing.definer:
        return
    name = told_object(thing.kind, thing.schema, thing.name)
    public = any(entry.grantee is None and entry.privilege == "EXECUTE" for entry in thing.acl)
    if not thing.search_path:
        yield Finding(
            Severity.BAD if public else Severity.WARNING,
            "DBR140",
            target,
            f"{name} is SECURITY DEFINER and fixes no search_path"
            f"{', and everybody may call it' if public else ''}: its caller can put own objects before yours",
            f"ALTER ROUTINE {thing.name} SET search_path = pg_catalog, {told(thing.schema)}, pg_temp",
        )
    if public:
        yield Finding(
            Severity.WARNING,
            "DBR141",
            target,
            f"{name} is SECURITY DEFINER, and everybody may call it",
            f"REVOKE EXECUTE ON ROUTINE {thing.name} FROM PUBLIC, then grant it to whom it is for",
        )


def _row_secured(thing: Securable, facts: DatabaseFacts, wish: DatabaseWish) -> Iterator[Finding]:
    if not thing.reads_row_secured or thing.kind not in TABLES:
        return
    allowed = {
        rule.to for rule in wish.rules if rule.row_secured_views and thing.schema in rule.schemas
    } | facts.bypassing
    readers = sorted(
        {entry.grantee or "" for entry in thing.acl if entry.privilege == "SELECT" and entry.grantee != thing.owner}
        - allowed
    )
    if not readers:
        return
    who = ", ".join(told_grantee(reader or None) for reader in readers[:_SHOWN])
    name = told_object(thing.kind, thing.schema, thing.name)
    if thing.kind is Kind.MATERIALIZED_VIEW:
        yield Finding(
            Severity.BAD, "DBR150", wish.target,
            f"{who} can read {name}, which holds rows of row-secured tables and knows no row security",
            f"dbops roles apply --target {wish.target}, or allow it: row_secured_views = true",
        )  # fmt: skip
    elif not thing.invoker and thing.owner in facts.bypassing:
        yield Finding(
            Severity.WARNING, "DBR151", wish.target,
            f"{who} can read {name}, which reads row-secured tables with the rights of {told(thing.owner)}, "
            "whom no row security holds",
            f"ALTER VIEW {told(*thing.place)} SET (security_invoker = true)   -- PostgreSQL 15 and newer",
        )  # fmt: skip


def _defaults(facts: DatabaseFacts, wish: DatabaseWish) -> Iterator[Finding]:
    for default in rights.all_defaults(facts, wish):
        for role, want in sorted(rights.wished_default(default, wish).items()):
            lacking = sorted(rights.missing(default.acl, role, want))
            if lacking and default.schema is not None:
                yield Finding(
                    Severity.WARNING,
                    "DBR160",
                    wish.target,
                    f"{told(role)} will lack {', '.join(lacking)} on {default.kind.lower()}s that "
                    f"{told(default.creator)} makes in {told(default.schema)}",
                    f"dbops roles apply --target {wish.target}",
                )
    for rule in wish.rules:
        changing = sorted(rule.new_tables & {"UPDATE", "DELETE", "TRUNCATE"})
        if rule.append_only and changing and wish.creating:
            yield Finding(
                Severity.WARNING,
                "DBR161",
                wish.target,
                f"{told(rule.to)} gets {', '.join(changing)} on new tables, also on new partitions of append-only ones",
                "leave them out of new_tables in that grant: dbops roles apply gives them to what is not append-only",
            )


def _columns(facts: DatabaseFacts, wish: DatabaseWish) -> Iterator[Finding]:
    for schema, table, grantee in _ours(facts.columns, wish.managed):
        who = told(grantee) if grantee else "PUBLIC"
        yield Finding(
            Severity.WARNING,
            "DBR170",
            wish.target,
            f"{who} has privileges on single columns of {told(schema, table)}, which roles does not plan",
            f"REVOKE ... (column) ON {told(schema, table)} FROM {who}, or leave it knowingly",
        )


def _foreign_definers(facts: DatabaseFacts, wish: DatabaseWish) -> Iterator[Finding]:
    """Tell of functions that were left with their owner: given to another, they would run with that one's rights."""
    for thing in facts.things:
        if thing.definer and thing.owner != wish.owner and thing.owner not in wish.creating:
            yield Finding(
                Severity.WARNING,
                "DBR142",
                wish.target,
                f"{thing.name} is SECURITY DEFINER and belongs to {told(thing.owner)}",
                f"read it, then drop it or: ALTER ROUTINE {thing.name} OWNER TO {told(wish.owner or 'the owner')}",
            )


def _foreign_members(facts: ClusterFacts, wish: ClusterWish) -> Iterator[Finding]:
    """Tell of roles that nobody declared and that have the rights of one that matters, and of who may make more."""
    managed = {role.name for role in wish.roles}
    known = {role.name: role for role in facts.roles}
    for edge in facts.memberships:
        if edge.admin and edge.member in managed:
            yield Finding(
                Severity.WARNING,
                "DBR115",
                wish.cluster,
                f"{told(edge.member)} may hand {told(edge.role)} on to others",
                f"REVOKE ADMIN OPTION FOR {told(edge.role)} FROM {told(edge.member)}",
            )
        above, below = known.get(edge.role), known.get(edge.member)
        mighty = edge.role in _MIGHTY or (
            above is not None and (above.attributes.superuser or above.attributes.bypassrls)
        )
        silent = below is None or below.bootstrap or below.name == facts.connected_as or edge.member.startswith("pg_")
        if edge.member not in managed and not silent and (mighty or edge.role in managed):
            yield Finding(
                Severity.WARNING,
                "DBR114",
                wish.cluster,
                f"{told(edge.member)} is not declared, and is a member of {told(edge.role)}",
                f"declare [roles.{told(edge.member)}], or: REVOKE {told(edge.role)} FROM {told(edge.member)}",
            )


_MIGHTY = frozenset(
    {
        *("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"),
        *("pg_read_all_data", "pg_write_all_data", "pg_signal_backend", "pg_maintain", "pg_create_subscription"),
    }
)


def _ours(columns: Iterable[tuple[str, str, str]], managed: frozenset[str]) -> list[tuple[str, str, str]]:
    return sorted({column for column in columns if column[2] in managed or not column[2]})
