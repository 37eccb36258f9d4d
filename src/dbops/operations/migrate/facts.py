"""What is known of a database's history: the revisions of its folder, what is stamped, what is there."""

from dataclasses import dataclass
from datetime import datetime

from dbops.operations.migrate.shapes.shape import Shape

BASE = "base"


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of a history. `makes` and `takes` name catalog objects as `operations.migrate.catalog` does."""

    id: str
    summary: str
    up: tuple[str, ...]  # SQL, statement by statement
    makes: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    change: str | None = None  # the change that it is a phase of
    phase: str | None = None  # expand, contract, rollback
    impact: str | None = None  # what it means for the application, as its author told
    shape: Shape | None = None
    ensures: frozenset[str] = frozenset()  # of what it makes: what may be there before
    renames: tuple[tuple[str, str], ...] = ()  # tables: from, to


@dataclass(frozen=True, slots=True)
class History:
    """All revisions of a target, oldest first, and what they need that their owner may not be allowed to create."""

    target: str
    folder: str
    revisions: tuple[Revision, ...] = ()
    roles: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(revision.id for revision in self.revisions)

    @property
    def head(self) -> str | None:
        return self.revisions[-1].id if self.revisions else None

    def until(self, stamp: str | None) -> tuple[Revision, ...]:
        """Return the revisions up to a stamp; an unknown one has none."""
        if stamp is None or stamp not in self.ids:
            return ()
        return self.revisions[: self.ids.index(stamp) + 1]

    def after(self, stamp: str | None) -> tuple[Revision, ...]:
        return self.revisions[len(self.until(stamp)) :]


@dataclass(frozen=True, slots=True)
class Invalid:
    """An index that serves nobody: a build of it was cut off, or is under way."""

    schema: str
    name: str
    table: str
    partition_of: str | None = None
    builder: int | None = None  # the backend that builds it

    @property
    def shown(self) -> str:
        """Name it as the catalog does."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Database:
    """A database as it is found."""

    stamps: tuple[str, ...] = ()
    objects: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()  # tables that hold rows
    extensions: frozenset[str] = frozenset()
    untrusted: frozenset[str] = frozenset()  # extensions that only a superuser may create
    roles: frozenset[str] = frozenset()
    may_create_roles: bool = False
    superuser: bool = False
    ledger: int | None = None
    invalid: tuple[Invalid, ...] = ()

    @property
    def stamp(self) -> str | None:
        return self.stamps[0] if self.stamps else None


@dataclass(frozen=True, slots=True)
class Entry:
    """A revision that was done, as the ledger tells it."""

    at: datetime
    run: str
    actor: str
    what: str
    revision: str
