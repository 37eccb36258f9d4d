"""The SQL of roles: what the preview shows is what apply runs; pure."""

from collections.abc import Iterable

from dbops.engine.plan import Statement, Verbatim
from dbops.operations.roles.facts import ATTRIBUTES, RELATIONS, Attributes, Kind

Name = tuple[str, ...] | Verbatim


def role_options(new: Attributes, old: Attributes) -> str:
    """Write what differs, and only that: some attributes may not even be repeated without being superuser."""
    words = [on if getattr(new, name) else off for name, (on, off) in ATTRIBUTES.items() if _differ(new, old, name)]
    if new.connection_limit != old.connection_limit:
        words.append(f"CONNECTION LIMIT {new.connection_limit:d}")
    return " ".join(words)


def _differ(new: Attributes, old: Attributes, name: str) -> bool:
    return bool(getattr(new, name) != getattr(old, name))


def create_role(name: str, attributes: Attributes) -> Statement:
    return Statement(f"CREATE ROLE {{}} {role_options(attributes, Attributes())}".rstrip(), ((name,),))


def alter_role(name: str, new: Attributes, old: Attributes) -> Statement:
    return Statement(f"ALTER ROLE {{}} {role_options(new, old)}", ((name,),))


def set_password(name: str, verifier: str) -> Statement:
    """Take a verifier, never a password: the server may log this statement."""
    return Statement("ALTER ROLE {} PASSWORD %s", ((name,),), (verifier,))


def comment_role(name: str, comment: str) -> Statement:
    return Statement("COMMENT ON ROLE {} IS %s", ((name,),), (comment,))


def add_member(role: str, member: str) -> Statement:
    return Statement("GRANT {} TO {}", ((role,), (member,)))


def remove_member(role: str, member: str, by: tuple[str, ...]) -> tuple[Statement, ...]:
    if not by:
        return (Statement("REVOKE {} FROM {}", ((role,), (member,))),)
    return tuple(Statement("REVOKE {} FROM {} GRANTED BY {}", ((role,), (member,), (grantor,))) for grantor in by)


def release(role: str) -> Statement:
    """Take back every privilege in this database; the caller has made sure that the role owns nothing here."""
    return Statement("DROP OWNED BY {} RESTRICT", ((role,),))


def drop_role(name: str) -> Statement:
    return Statement("DROP ROLE IF EXISTS {}", ((name,),))


def name_of(kind: Kind, schema: str, name: str) -> Name:
    if kind in {Kind.DATABASE, Kind.SCHEMA}:
        return (name,)
    return Verbatim(name) if kind is Kind.ROUTINE else (schema, name)


def set_owner(kind: Kind, schema: str, name: str, owner: str) -> Statement:
    return Statement(f"ALTER {kind} {{}} OWNER TO {{}}", (name_of(kind, schema, name), (owner,)))


def grant(kind: Kind, schema: str, names: Iterable[str], privileges: Iterable[str], grantee: str) -> Statement:
    objects = tuple(name_of(kind, schema, name) for name in names)
    return Statement(f"GRANT {', '.join(privileges)} ON {kind} {_marks(objects)} TO {{}}", (*objects, (grantee,)))


def revoke(
    kind: Kind,
    schema: str,
    names: Iterable[str],
    privileges: Iterable[str],
    grantee: str | None,
    *,
    by: str | None,
    option: bool,
) -> tuple[Statement, ...]:
    """Revoke as whoever granted it: a superuser's REVOKE only takes back what the owner gave."""
    objects = tuple(name_of(kind, schema, name) for name in names)
    only = "GRANT OPTION FOR " if option else ""
    text = f"REVOKE {only}{', '.join(privileges)} ON {kind} {_marks(objects)} FROM {_to(grantee)}"
    statement = Statement(text, (*objects, *_grantee(grantee)))
    if by is None:
        return (statement,)
    return (Statement("SET LOCAL ROLE {}", ((by,),)), statement, Statement("RESET ROLE"))


def grant_default(creator: str, schema: str, kind: Kind, privileges: Iterable[str], grantee: str) -> Statement:
    text = f"GRANT {', '.join(privileges)} ON {_plural(kind)} TO {{}}"
    return Statement(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}} IN SCHEMA {{}} {text}", ((creator,), (schema,), (grantee,))
    )


def revoke_default(
    creator: str, schema: str | None, kind: Kind, privileges: Iterable[str], grantee: str | None, *, option: bool
) -> Statement:
    within = () if schema is None else ((schema,),)
    only = "GRANT OPTION FOR " if option else ""
    text = (
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}}{' IN SCHEMA {}' if within else ''} "
        f"REVOKE {only}{', '.join(privileges)} ON {_plural(kind)} FROM {_to(grantee)}"
    )
    return Statement(text, ((creator,), *within, *_grantee(grantee)))


def _plural(kind: Kind) -> str:
    return f"{kind.granted_as}S"


def _marks(objects: tuple[Name, ...]) -> str:
    return ", ".join("{}" for _ in objects)


def _to(grantee: str | None) -> str:
    return "PUBLIC" if grantee is None else "{}"


def _grantee(grantee: str | None) -> tuple[Name, ...]:
    return () if grantee is None else ((grantee,),)


def lock_of(kind: Kind) -> str:
    """Tell which lock ALTER ... OWNER takes."""
    if kind in RELATIONS:
        return "takes ACCESS EXCLUSIVE for an instant: queries on it queue behind the attempt, 0.5 s to 4 s at most"
    return "takes no lock that a query would feel"
