"""The shape of `[cluster.NAME]`: a PostgreSQL server, its stanza, its repositories, and how it is backed up."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from dbops.config.fields import Day, Dsn, Model, Objectives, Secret, Span, Tls

Label = Annotated[str, StringConstraints(pattern=r"^\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?$")]
Segment = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{24}$")]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^(?:[01]\d|2[0-3]):[0-5]\d$")]
RepositoryKey = Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,2}$")]


class Repository(Model):
    """One repository of the stanza, by its number; `backup init` writes it into pgBackRest's configuration."""

    path: Path | None = Field(default=None, description="of a folder, or within the bucket or container")
    cipher: Secret | None = Field(default=None, description="the pass of its cipher; fixed when the stanza is created")
    options: dict[str, str] = Field(default={}, description='what else it needs, without "repo1-": { type = "s3" }')


class HeldBackup(Model):
    """A backup set that is evidence: it and its chain are never expired until the hold is taken out."""

    label: Label
    reason: str


class LostWal(Model):
    """A gap in the archive that is known, and why; it stays a gap, but no longer an alarm."""

    first: Segment = Field(alias="from")
    last: Segment = Field(alias="to")
    reason: str
    on: Day = Field(description="when somebody acknowledged it")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last < self.first or self.last[:8] != self.first[:8]:
            raise ValueError("`to` has to follow `from`, on the same timeline")
        return self


class Backup(Model):
    """When backups are taken, and how long they are kept."""

    full: TimeOfDay = Field(default="02:00", description="of the daily full backup, UTC")
    diff: Span = Field(default=timedelta(hours=6), description="between differential backups")
    keep: Annotated[int, Field(ge=1)] = Field(default=7, description="how many full backups, with all that need them")
    keep_for: Span | None = Field(default=None, description="any moment of this span stays within reach, too")
    hold: tuple[HeldBackup, ...] = ()
    lost: tuple[LostWal, ...] = ()


class Cluster(Model):
    """A PostgreSQL server with its pgBackRest stanza; `dsn` is its administrator's."""

    dsn: Dsn
    password: Secret | None = None
    tls: Tls | None = None
    stanza: str | None = None
    pgbackrest_config: Path | None = None
    data_directory: Path | None = None
    run_as: str | None = Field(default=None, description="who owns the data directory and runs pgBackRest")
    repository: dict[RepositoryKey, Repository] = Field(default={}, description="its repositories, by number")
    backup: Backup = Backup()
    objectives: Objectives = Objectives()
