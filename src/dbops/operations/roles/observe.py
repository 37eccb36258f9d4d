"""Read the catalogs of a cluster and of one database into facts, in one snapshot that changes nothing."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

from psycopg.rows import tuple_row

from dbops.errors import DbopsError
from dbops.operations.roles import passwords, queries, scram
from dbops.operations.roles.facts import (
    Attributes,
    ClusterFacts,
    ClusterWish,
    DatabaseFacts,
    DefaultAcl,
    Entry,
    Holding,
    Kind,
    Membership,
    Password,
    PasswordKind,
    PasswordState,
    RoleFacts,
    SecretWish,
    Securable,
    Session,
)
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_RELATION_KINDS = {
    "r": Kind.TABLE,
    "p": Kind.TABLE,
    "v": Kind.VIEW,
    "m": Kind.MATERIALIZED_VIEW,
    "f": Kind.FOREIGN_TABLE,
    "S": Kind.SEQUENCE,
}
_DEFAULT_KINDS = {"r": Kind.TABLE, "S": Kind.SEQUENCE, "f": Kind.ROUTINE, "T": Kind.TYPE, "n": Kind.SCHEMA}


@contextmanager
def _snapshot(connection: Connection) -> Generator[None]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL search_path = pg_catalog")
        yield


def _rows(connection: Connection, query: LiteralString, values: dict[str, Any] | None = None) -> list[Any]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, values).fetchall()


def observe_cluster(connection: Connection, wish: ClusterWish) -> ClusterFacts:
    """Read the roles; a stored verifier is compared with the declared secret here, and goes no further."""
    with _snapshot(connection):
        verifiers = _verifiers(connection)
        absent = [role.name for role in wish.roles if role.absent]
        roles = [
            RoleFacts(name, Attributes(*flags), comment, _password(name, verifiers, wish), bootstrap, expired)
            for name, *flags, comment, bootstrap, expired in _rows(connection, queries.ROLES)
        ]
        return ClusterFacts(
            connected_as=str(_rows(connection, queries.CONTEXT)[0][1]),
            server_version=connection.info.server_version,
            roles=tuple(roles),
            memberships=_memberships(connection),
            sessions=_sessions(connection, None),
            holdings=tuple(sorted(Holding(*row) for row in _rows(connection, queries.HOLDINGS, {"roles": absent}))),
            missing_secrets=frozenset(_missing_secrets(role.secret for role in wish.roles if not role.absent)),
        )


def _missing_secrets(secrets: Iterable[SecretWish | None]) -> Generator[str]:
    for secret in secrets:
        if secret is not None and secret.file is not None and passwords.is_missing(secret):
            yield secret.file


def _verifiers(connection: Connection) -> dict[str, str | None] | None:
    """Read pg_authid, which is closed to all but superusers unless somebody opened it: then none."""
    if not _rows(connection, queries.MAY_READ_VERIFIERS)[0][0]:
        return None
    return dict(_rows(connection, queries.VERIFIERS))


def _password(name: str, verifiers: dict[str, str | None] | None, wish: ClusterWish) -> Password:
    declared = wish.role(name)
    secret = declared.secret if declared is not None and not declared.absent else None
    if verifiers is None:
        why = "the connected role may not read pg_authid"
        return Password(PasswordKind.UNKNOWN, PasswordState.UNKNOWN, why)
    stored = verifiers.get(name)
    kind = _kind(stored)
    if secret is None:
        return Password(kind, PasswordState.NOT_DECLARED)
    if stored is None or passwords.is_missing(secret):
        return Password(kind, PasswordState.DIFFERS)
    try:
        same = scram.matches(stored, passwords.fetch(secret, target=wish.cluster), role=name)
    except DbopsError as error:
        return Password(kind, PasswordState.UNKNOWN, error.message)
    return Password(kind, PasswordState.MATCHES if same else PasswordState.DIFFERS)


def _kind(stored: str | None) -> PasswordKind:
    if stored is None:
        return PasswordKind.NONE
    return PasswordKind.SCRAM if scram.is_scram(stored) else PasswordKind.MD5


def _memberships(connection: Connection) -> tuple[Membership, ...]:
    rows = _rows(connection, queries.MEMBERSHIPS)
    return tuple(sorted(Membership(role, member, tuple(by), admin) for role, member, by, admin in rows))


def _sessions(connection: Connection, database: str | None) -> tuple[Session, ...]:
    return tuple(Session(*row) for row in _rows(connection, queries.SESSIONS, {"database": database}))


def observe_database(connection: Connection, *, target: str) -> DatabaseFacts:
    with _snapshot(connection):
        name = str(_rows(connection, queries.CONTEXT)[0][0])
        return DatabaseFacts(
            name=name,
            roles=frozenset(row[0] for row in _rows(connection, queries.ROLE_NAMES)),
            bypassing=frozenset(row[0] for row in _rows(connection, queries.BYPASSING)),
            things=tuple(sorted(_things(connection), key=lambda t: (tuple(Kind).index(t.kind), t.place))),
            defaults=tuple(_defaults(connection)),
            memberships=_memberships(connection),
            sessions=_sessions(connection, name),
            ledger=ledger.observe(connection, target=target),
            columns=tuple(sorted(_rows(connection, queries.COLUMNS))),
        )


def _entries(acl: Sequence[Sequence[Any]], owner: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(grantee, privilege, None if grantor == owner else grantor, grantable)
        for grantee, privilege, grantor, grantable in acl
    )


def _things(connection: Connection) -> Generator[Securable]:
    for name, owner, acl in _rows(connection, queries.DATABASE):
        yield Securable(Kind.DATABASE, "", name, owner, _entries(acl, owner))
    for name, owner, acl in _rows(connection, queries.SCHEMAS):
        yield Securable(Kind.SCHEMA, "", name, owner, _entries(acl, owner))
    for letter, schema, name, owner, acl, above, table, secured, invoker in _rows(connection, queries.RELATIONS):
        yield Securable(
            _RELATION_KINDS[letter],
            schema,
            name,
            owner,
            _entries(acl, owner),
            ancestors=tuple((place[0], place[1]) for place in above),
            follows=(table[0], table[1]) if table is not None else None,
            reads_row_secured=secured,
            invoker=invoker,
        )
    for schema, signature, owner, acl, definer, path in _rows(connection, queries.ROUTINES):
        yield Securable(Kind.ROUTINE, schema, signature, owner, _entries(acl, owner), definer=definer, search_path=path)
    for is_domain, schema, name, owner in _rows(connection, queries.TYPES):
        yield Securable(Kind.DOMAIN if is_domain else Kind.TYPE, schema, name, owner)


def _defaults(connection: Connection) -> Generator[DefaultAcl]:
    for creator, schema, letter, acl in _rows(connection, queries.DEFAULTS):
        kind = _DEFAULT_KINDS.get(letter)
        if kind is not None:  # others concern what roles does not grant
            yield DefaultAcl(creator, schema, kind, _entries(acl, creator))
