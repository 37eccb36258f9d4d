"""The shape of `dbops.toml`: pure, frozen, strict. Secrets are references; nothing here resolves them."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from dbops.config.clusters import Cluster
from dbops.config.fields import TARGET_NAME, Day, Dsn, Model, Objectives, RoleName, Secret, Span, Tls


class Platform(Model):
    """The platform as a whole."""

    name: Annotated[str, StringConstraints(pattern=TARGET_NAME)]
    environment: Literal["development", "test", "staging", "production"] = "development"
    state_dir: Path | None = Field(default=None, description="journals and locks; default $XDG_STATE_HOME/dbops/<name>")
    ledger: str | None = Field(default=None, description="the postgres target that keeps the ledger of other stores")
    migrations: Path | None = Field(
        default=None, description="the folder of alembic.ini; default: migrations beside this file, or those of dbops"
    )
    zone: str = Field(default="UTC", description="the time zone in which people are shown instants")


class View(Model):
    """A materialized view, and how fresh it has to be."""

    schedule: Span | None = Field(default=None, description="how often `matview refresh --stale` refreshes it")
    staleness: Span | None = Field(default=None, description="the objective: how old its content may be")
    mode: Literal["auto", "concurrently", "plain"] = Field(
        default="auto", description="auto: concurrently where a unique index allows it; plain: readers wait"
    )
    timeout: Span | None = Field(default=None, description="of one refresh; default nine tenths of the schedule")
    skip_unchanged: bool = Field(default=True, description="leave it alone while nothing that it reads has changed")

    @model_validator(mode="after")
    def _timely(self) -> Self:
        if self.timeout is not None and self.schedule is not None and self.timeout >= self.schedule:
            raise ValueError("the timeout has to be shorter than the schedule, or refreshes overlap")
        if self.staleness is not None and self.schedule is not None and self.staleness < self.schedule:
            raise ValueError("a staleness shorter than the schedule is missed by every run")
        return self


class Hold(Model):
    """Rows of this span are evidence: nothing of it is retired until the hold is taken out."""

    first: Day = Field(alias="from")
    last: Day = Field(alias="to", description="the first day that is free again")
    reason: str


class Policies(Model):
    """A table that says how long rows are kept, each kind for itself; a kind that it does not name is kept."""

    table: str
    kind: str = Field(description="the column that names the kind, in the partitioned table and in this one")
    days: str = Field(default="retention_days", description="the column that tells how many days")


class Pruned(Model):
    """A query that must not read more than some partitions; proven by its plan."""

    sql: str
    most: Annotated[int, Field(ge=1)] = 1


Interval = Literal["1 day", "1 week", "1 month", "3 months", "1 year"]


class Partition(Model):
    """A table partitioned by time; its name may be `schema.table`."""

    column: str | None = Field(default=None, description="the partition key; default: whatever it is")
    interval: Interval = "1 month"
    premake: Annotated[int, Field(ge=1, le=400)] = Field(default=3, description="how many after the current one")
    runway: Span | None = Field(default=None, description="less left is an alarm; default: half of what is premade")
    retention: Span | None = Field(default=None, description="older partitions may go; default: none ever does")
    policies: Policies | None = Field(default=None, description="how long each kind of rows is kept")
    action: Literal["drop", "detach", "archive"] = Field(
        default="archive", description="what retire does: archive exports, reads back, and drops after the grace"
    )
    grace: Span = Field(default=timedelta(days=7), description="how long a detached partition waits before its drop")
    holds: tuple[Hold, ...] = ()
    default: Literal["none", "keep"] = Field(
        default="none", description="whether there may be a default partition: it makes every ATTACH block its readers"
    )
    zone: str = Field(default="UTC", description="whose midnights the bounds are")
    pruned: tuple[Pruned, ...] = Field(default=(), description="queries that check proves to read few partitions")


class Postgres(Model):
    """One database of a cluster; `dsn` is its owner's."""

    cluster: str
    dsn: Dsn
    password: Secret | None = None
    tls: Tls | None = None
    migrations: str | None = Field(default=None, description="the folder below migrations/postgres; default the target")
    owner: str | None = Field(default=None, description="the role that owns the database; may hold {target}")
    replicas: tuple[Dsn, ...] = Field(
        default=(), description="the dsn of each hot standby, with the password of this one; long reads go there"
    )
    creators: tuple[str, ...] = Field(default=(), description="further roles that create objects, beside the owner")
    partition: dict[str, Partition] = Field(default={}, description="its tables that are partitioned by time")
    soak: Span = Field(default=timedelta(days=7), description="between the switch of a change and its contraction")
    old_clients: tuple[str, ...] | None = Field(
        default=None, description="application names (shell patterns) of clients that know only what is to go; [] none"
    )
    view: dict[str, View] = Field(default={}, description="materialized views by name; outside public: schema.name")


class Redis(Model):
    """A Redis or DragonflyDB server."""

    url: Dsn
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None


class Cosmos(Model):
    """One database of an Azure Cosmos DB account; without a key, dbops signs in by azure-identity's default chain."""

    endpoint: Dsn
    database: str
    key: Secret | None = None
    root_cert: Path | None = Field(default=None, description="trust this authority too, such as an emulator's")
    objectives: Objectives = Objectives()


class Search(Model):
    """An Azure AI Search service; without a key, dbops signs in by azure-identity's default chain."""

    endpoint: Dsn
    key: Secret | None = Field(default=None, description="an admin key, or a query key where nothing is changed")
    root_cert: Path | None = Field(default=None, description="trust this authority too, such as an emulator's")
    objectives: Objectives = Objectives()


class Tier(Model):
    """How long copies are kept decides where they lie: a prefix of their own, and a storage class."""

    prefix: str = Field(default="", description="goes before <store>/<target>/...")
    storage_class: str | None = Field(default=None, description="as the store names it: Cool, GLACIER_IR ...")


class Place(Model):
    """Where artifacts lie: a folder, a container of Azure Blob, a bucket of S3."""

    url: Dsn = Field(description="file:///folder, azure://account/container/prefix, s3://bucket/prefix")
    endpoint: Dsn | None = Field(default=None, description="another address than the cloud's own: Azurite, MinIO ...")
    region: str | None = None
    key_id: str | None = Field(default=None, description="S3: the access key's id; may be ${ENV_NAME}")
    key: Secret | None = Field(default=None, description="account key or secret access key; default: the default chain")
    sas: Secret | None = Field(default=None, description="Azure: a shared access signature")
    root_cert: Path | None = None


class Copy(Place):
    """A second place that `vault copy` keeps up with the first."""

    max_age: Span | None = Field(default=None, description="how far it may lag behind the vault")


class Vault(Place):
    """Where the artifacts of all stores are kept."""

    copies: dict[str, Copy] = Field(default={})
    tiers: dict[str, Tier] = Field(default={}, description="retention tiers by name, such as daily, monthly")
    recipients: tuple[str, ...] = Field(default=(), description="age public keys; with any, artifacts are encrypted")
    identity: Secret | None = Field(default=None, description="the age identity that can read them back")


class Role(Model):
    """A role of every cluster (or of `clusters`). `{target}` in its name makes one for each database."""

    clusters: tuple[str, ...] = Field(default=(), description="default: every cluster")
    absent: bool = Field(default=False, description="the role must not exist any more")
    login: bool = False
    superuser: bool = False
    createdb: bool = False
    createrole: bool = False
    inherit: bool = True
    replication: bool = False
    bypassrls: bool = False
    connection_limit: Annotated[int, Field(ge=-1)] = -1
    member_of: tuple[str, ...] = Field(default=(), description="exactly these; may hold {target}")
    password: Secret | None = None
    comment: str | None = None


_Table = Literal["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]


class Grant(Model):
    """What one role may do in the databases it is meant for; it also gets CONNECT and USAGE."""

    to: str = Field(description="a declared role; may hold {target}")
    databases: tuple[str, ...] = Field(default=(), description="postgres targets; default: all")
    database: tuple[Literal["CONNECT", "TEMPORARY", "CREATE"], ...] = ("CONNECT",)
    schemas: tuple[str, ...] = ("public",)
    schema_: tuple[Literal["USAGE", "CREATE"], ...] = Field(default=("USAGE",), alias="schema")
    tables: tuple[_Table, ...] = ()
    append_only: tuple[str, ...] = Field(
        default=(), description="tables (shell patterns) that lose UPDATE, DELETE and TRUNCATE"
    )
    new_tables: tuple[_Table, ...] | None = Field(default=None, description="default privileges; default: as tables")
    sequences: tuple[Literal["USAGE", "SELECT", "UPDATE"], ...] = ()
    functions: tuple[Literal["EXECUTE"], ...] = ()
    row_secured_views: bool = Field(
        default=False,
        description="also materialized views that read row-secured tables: they know no row security",
    )


class Config(Model):
    """All that dbops knows of a platform."""

    platform: Platform
    cluster: dict[str, Cluster] = Field(default={})
    postgres: dict[str, Postgres] = Field(default={})
    redis: dict[str, Redis] = Field(default={})
    cosmos: dict[str, Cosmos] = Field(default={})
    search: dict[str, Search] = Field(default={})
    vault: Vault | None = None
    roles: dict[RoleName, Role] = Field(default={})
    grants: tuple[Grant, ...] = ()
