"""What is (facts, read from the catalogs) and what is meant (wishes, read from the configuration)."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What can be owned or granted; the value is what ALTER ... OWNER calls it."""

    DATABASE = "DATABASE"
    SCHEMA = "SCHEMA"
    TABLE = "TABLE"
    VIEW = "VIEW"
    MATERIALIZED_VIEW = "MATERIALIZED VIEW"
    FOREIGN_TABLE = "FOREIGN TABLE"
    SEQUENCE = "SEQUENCE"
    ROUTINE = "ROUTINE"
    TYPE = "TYPE"
    DOMAIN = "DOMAIN"

    @property
    def granted_as(self) -> "Kind":
        """What GRANT calls it: whatever can be selected from is a table there."""
        return Kind.TABLE if self in TABLES else self


TABLES = frozenset({Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW, Kind.FOREIGN_TABLE})
RELATIONS = TABLES | {Kind.SEQUENCE}


@dataclass(frozen=True, slots=True)
class Session:
    """Connections that look alike."""

    role: str
    database: str
    application: str
    client: str
    count: int


@dataclass(frozen=True, slots=True, order=True)
class Membership:
    """`member` may do what `role` may do."""

    role: str
    member: str
    # since 16 each grantor's word counts by itself, and a REVOKE takes back only the one it names
    by: tuple[str, ...] = field(default=(), compare=False)
    admin: bool = field(default=False, compare=False)  # the member may hand the role on


class PasswordKind(StrEnum):
    SCRAM = "scram"
    MD5 = "md5"
    NONE = "none"
    UNKNOWN = "unknown"  # the connected role may not read it


class PasswordState(StrEnum):
    """The stored verifier against the declared secret."""

    MATCHES = "matches"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    NOT_DECLARED = "not declared"


@dataclass(frozen=True, slots=True)
class Password:
    kind: PasswordKind = PasswordKind.NONE
    state: PasswordState = PasswordState.NOT_DECLARED
    why: str = ""  # it is unknown


# The attributes that the configuration decides, as ALTER ROLE writes them: on, off.
ATTRIBUTES = {
    "login": ("LOGIN", "NOLOGIN"),
    "superuser": ("SUPERUSER", "NOSUPERUSER"),
    "createdb": ("CREATEDB", "NOCREATEDB"),
    "createrole": ("CREATEROLE", "NOCREATEROLE"),
    "inherit": ("INHERIT", "NOINHERIT"),
    "replication": ("REPLICATION", "NOREPLICATION"),
    "bypassrls": ("BYPASSRLS", "NOBYPASSRLS"),
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a role is; the defaults are those of CREATE ROLE."""

    login: bool = False
    superuser: bool = False
    createdb: bool = False
    createrole: bool = False
    inherit: bool = True
    replication: bool = False
    bypassrls: bool = False
    connection_limit: int = -1


@dataclass(frozen=True, slots=True)
class RoleFacts:
    name: str
    attributes: Attributes = Attributes()
    comment: str | None = None
    password: Password = Password()
    bootstrap: bool = False  # initdb's own superuser
    expired: bool = False  # VALID UNTIL is over: no password logs in


@dataclass(frozen=True, slots=True, order=True)
class Holding:
    """What still hangs on a role in one database."""

    role: str
    database: str
    owned: int  # objects that would be dropped with it: they need another owner first
    granted: int  # privileges that can simply be taken back


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    connected_as: str
    server_version: int
    roles: tuple[RoleFacts, ...] = ()
    memberships: tuple[Membership, ...] = ()
    sessions: tuple[Session, ...] = ()
    holdings: tuple[Holding, ...] = ()  # of the roles that must go
    missing_secrets: frozenset[str] = frozenset()  # files that are to be generated

    def role(self, name: str) -> RoleFacts | None:
        return next((role for role in self.roles if role.name == name), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One privilege of one grantee. No grantee: PUBLIC. No `by`: granted by the owner."""

    grantee: str | None
    privilege: str
    by: str | None = None
    grantable: bool = False


@dataclass(frozen=True, slots=True)
class Securable:
    """Something with an owner and an access control list."""

    kind: Kind
    schema: str  # empty for a database and for a schema
    name: str  # of a routine: its signature, quoted and qualified by the server
    owner: str
    acl: tuple[Entry, ...] = ()
    ancestors: tuple[tuple[str, str], ...] = ()  # of a partition: the tables above it
    follows: tuple[str, str] | None = None  # of a sequence: the table that owns it
    reads_row_secured: bool = False  # a view or materialized view, through other views too
    invoker: bool = False  # a view that reads with the rights of its reader
    definer: bool = False  # a routine that runs with the rights of its owner
    search_path: bool = False  # ... and fixes its search_path

    @property
    def place(self) -> tuple[str, str]:
        return (self.schema, self.name)


@dataclass(frozen=True, slots=True)
class DefaultAcl:
    """What objects made by `creator` will be granted. No schema: in every schema."""

    creator: str
    schema: str | None
    kind: Kind
    acl: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    name: str
    roles: frozenset[str] = frozenset()  # that exist
    bypassing: frozenset[str] = frozenset()  # those that no row security holds
    things: tuple[Securable, ...] = ()
    defaults: tuple[DefaultAcl, ...] = ()
    memberships: tuple[Membership, ...] = ()
    sessions: tuple[Session, ...] = ()
    ledger: int | None = None  # version of the schema dbops
    columns: tuple[tuple[str, str, str], ...] = ()  # privileges on columns: schema, table, grantee ('': PUBLIC)

    @property
    def schemas(self) -> frozenset[str]:
        return frozenset(thing.name for thing in self.things if thing.kind is Kind.SCHEMA)


@dataclass(frozen=True, slots=True)
class SecretWish:
    """Where a password comes from, never what it is."""

    variable: str | None = None  # "${NAME}"
    file: str | None = None
    generate: bool = False

    @property
    def told(self) -> str:
        return self.variable or f"file {self.file}"


@dataclass(frozen=True, slots=True)
class RoleWish:
    name: str
    absent: bool = False
    attributes: Attributes = Attributes()
    member_of: tuple[str, ...] = ()
    secret: SecretWish | None = None
    comment: str | None = None  # none: whatever it is


@dataclass(frozen=True, slots=True)
class ClusterWish:
    cluster: str
    roles: tuple[RoleWish, ...] = ()

    def role(self, name: str) -> RoleWish | None:
        return next((role for role in self.roles if role.name == name), None)


@dataclass(frozen=True, slots=True)
class Rule:
    """One grant of the configuration, for one role in one database."""

    to: str
    database: frozenset[str] = frozenset()
    schemas: tuple[str, ...] = ()
    schema: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    append_only: tuple[str, ...] = ()
    new_tables: frozenset[str] = frozenset()
    sequences: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    row_secured_views: bool = False


@dataclass(frozen=True, slots=True)
class DatabaseWish:
    target: str
    cluster: str
    owner: str | None = None
    creators: tuple[str, ...] = ()
    managed: frozenset[str] = field(default_factory=frozenset[str])  # roles whose privileges are ours to decide
    rules: tuple[Rule, ...] = ()

    @property
    def creating(self) -> tuple[str, ...]:
        """Every role whose future objects need default privileges."""
        return tuple(dict.fromkeys(([self.owner] if self.owner else []) + list(self.creators)))
