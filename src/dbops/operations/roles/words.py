"""How roles, objects and connections are told to a person, on one line each; pure."""

from collections.abc import Collection, Iterable

from dbops.engine.plan import qualified
from dbops.operations.roles.facts import Kind, Membership, Session

_SHOWN = 5  # applications of one role; a note is a line, not a report


def told(*name: str) -> str:
    """Write a name so that two names never look alike and none breaks the line."""
    return one_line(qualified(name))


def one_line(text: str) -> str:
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)


def told_grantee(grantee: str | None) -> str:
    return "PUBLIC" if grantee is None else told(grantee)


def told_object(kind: Kind, schema: str, name: str) -> str:
    if kind is Kind.ROUTINE:
        return f"routine {one_line(name)}"
    return f"{kind.lower()} {told(*([schema] if schema else []), name)}"


def told_objects(kind: Kind, schema: str, names: Collection[str]) -> str:
    if len(names) == 1:
        return told_object(kind, schema, next(iter(names)))
    return f"{len(names)} {kind.lower()}s of {told(schema)}" if schema else f"{len(names)} {kind.lower()}s"


def heirs(role: str, memberships: Iterable[Membership]) -> frozenset[str]:
    """Name a role and everybody who has its rights by membership, through any number of roles."""
    edges = list(memberships)
    found, todo = {role}, [role]
    while todo:
        above = todo.pop()
        new = {edge.member for edge in edges if edge.role == above} - found
        found |= new
        todo += new
    return frozenset(found)


def connections(role: str | None, sessions: Iterable[Session], memberships: Iterable[Membership]) -> str:
    """Tell who is connected just now with the rights of `role`; of PUBLIC, that is everybody."""
    sessions = list(sessions)
    concerned = {s.role for s in sessions} if role is None else heirs(role, memberships)
    lines = sorted(
        (s for s in sessions if s.role in concerned), key=lambda s: (-s.count, s.role, s.application, s.client)
    )
    if not lines:
        return "nobody is connected just now" + ("" if role is None else f" with the rights of {told(role)}")
    count = sum(line.count for line in lines)
    shown = [_connection(line) for line in lines[:_SHOWN]]
    more = [f"{len(lines) - _SHOWN} more kinds"] if len(lines) > _SHOWN else []
    whose = "" if role is None else f" with the rights of {told(role)}"
    return f"{count} connection{'s' * (count > 1)}{whose}: {', '.join(shown + more)}"


def _connection(session: Session) -> str:
    application = one_line(session.application) or "(no application name)"
    database = f" in {told(session.database)}" if session.database else ""
    return f"{session.count} x {told(session.role)} {application} from {session.client or 'local'}{database}"
