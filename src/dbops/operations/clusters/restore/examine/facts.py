"""What a restored cluster was found to hold; pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be read: bad when it is corrupt, otherwise nobody knows."""

    message: str
    corrupt: bool


@dataclass(frozen=True, slots=True)
class Table:
    database: str
    name: str
    rows: int | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class BadIndex:
    database: str
    name: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class Behind:
    """A sequence whose next value is taken already."""

    database: str
    sequence: str
    column: str
    last: int | None
    highest: int


@dataclass(frozen=True, slots=True)
class Security:
    """The row security of one table."""

    database: str
    table: str
    enabled: bool
    forced: bool
    policies: tuple[str, ...]


Names = tuple[tuple[str, str], ...]  # of (database, name)


@dataclass(frozen=True, slots=True)
class Brought:
    """What could reach out of a copy, or does not run in it."""

    foreign: Names = ()  # foreign servers
    subscriptions: Names = ()
    jobs: tuple[tuple[str, int], ...] = ()  # of pg_cron


@dataclass(frozen=True, slots=True)
class Examined:
    """All that was looked at."""

    databases: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    indexes: int = 0
    bad: tuple[BadIndex, ...] = ()
    unchecked: Names = ()  # databases without amcheck, and why
    invalid: Names = ()
    behind: tuple[Behind, ...] = ()
    unpopulated: Names = ()
    collations: Names = ()
    extensions: Names = ()
    security: tuple[Security, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Live:
    """The cluster as it is now, as far as it answers."""

    security: tuple[Security, ...] = ()
    roles: tuple[str, ...] = ()
    why_not: str | None = None
