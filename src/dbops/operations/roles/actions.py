"""Everything that roles can do to a cluster or to a database: data, to which `apply` gives meaning."""

from dataclasses import dataclass

from dbops.engine.plan import Statement
from dbops.operations.roles.facts import Attributes, Kind, SecretWish


@dataclass(frozen=True, slots=True)
class CreateRole:
    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class AlterRole:
    name: str
    new: Attributes
    old: Attributes


@dataclass(frozen=True, slots=True)
class SetPassword:
    """The secret is fetched, or made, when it is applied; what travels is a verifier."""

    name: str
    secret: SecretWish


@dataclass(frozen=True, slots=True)
class CommentRole:
    name: str
    comment: str


@dataclass(frozen=True, slots=True)
class AddMember:
    role: str
    member: str


@dataclass(frozen=True, slots=True)
class RemoveMember:
    role: str
    member: str
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseRole:
    """Take back all privileges of a role that must go, in one database where it owns nothing."""

    name: str
    database: str


@dataclass(frozen=True, slots=True)
class DropRole:
    name: str


ClusterAction = CreateRole | AlterRole | SetPassword | CommentRole | AddMember | RemoveMember | ReleaseRole | DropRole


@dataclass(frozen=True, slots=True)
class InstallLedger:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    grantee: str
    kind: Kind
    schema: str
    names: tuple[str, ...]
    privileges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revoke:
    grantee: str | None
    kind: Kind
    schema: str
    names: tuple[str, ...]
    privileges: tuple[str, ...]
    by: str | None = None
    option: bool = False  # only the right to pass them on


@dataclass(frozen=True, slots=True)
class SetOwner:
    """`keeps` gives the old owner, in the same transaction, what it is meant to have: it never goes without."""

    kind: Kind
    schema: str
    name: str
    owner: str
    keeps: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class GrantDefault:
    creator: str
    schema: str
    kind: Kind
    grantee: str
    privileges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevokeDefault:
    creator: str
    schema: str | None
    kind: Kind
    grantee: str | None
    privileges: tuple[str, ...]
    option: bool = False


DatabaseAction = InstallLedger | SetOwner | Grant | Revoke | GrantDefault | RevokeDefault
