"""Whether a database is where its stamp says. What differs is told, and nothing is changed."""

from collections.abc import Iterable, Iterator, Sequence

from dbops.operations.migrate import effects
from dbops.operations.migrate.facts import Database, History, Revision
from dbops.operations.migrate.plan import is_of, leftovers
from dbops.operations.migrate.shapes.columns import Columns
from dbops.operations.migrate.shapes.dropped import Dropped
from dbops.operations.migrate.shapes.replaced import Replaced

_NAMED = 6


def refusals(history: History, database: Database, *, going_up: bool) -> Iterator[tuple[str, str]]:
    """Tell why nothing may be done, with what to do about it."""
    if len(database.stamps) > 1:
        yield (
            f"alembic_version holds {len(database.stamps)} stamps: {', '.join(sorted(database.stamps))}",
            "a history is linear: leave the newest one that is true",
        )
        return
    if database.stamp is not None and database.stamp not in history.ids:
        yield (
            f"the database is stamped {database.stamp}, which {history.folder} does not have",
            "use the migrations that brought it there",
        )
        return
    expected = _expected(history, database.stamp)
    if missing := sorted(expected - database.objects):
        yield (
            f"the database is stamped {database.stamp}, but lacks {_some(missing)}",
            "was it stamped by hand? correct alembic_version, or restore what is missing",
        )
    if going_up:
        left = history.after(database.stamp)
        yield from _being_built(left, database)
        dropped = {f"index {one.shown}" for revision in left for one in leftovers(revision, database)}
        new = {name for revision in left for name in revision.makes - revision.ensures} - dropped
        if there := sorted(new & database.objects - expected):
            verb, them = ("exists", "it") if len(there) == 1 else ("exist", "them")
            stamped = f"stamped {database.stamp}" if database.stamp else "not stamped"
            yield (
                f"{_some(there)} {verb} already, and the database is {stamped}: a revision to come makes {them}",
                "if that revision was done by other means, stamp it (alembic -n ... stamp REVISION); else move it away",
            )


def _being_built(left: Iterable[Revision], database: Database) -> Iterator[tuple[str, str]]:
    """An index that somebody builds just now is left alone, for it may become valid."""
    for revision in left:
        for one in database.invalid:
            if one.builder is not None and is_of(revision, one):
                yield (
                    f"index {one.shown}, which revision {revision.id} makes, is being built by backend {one.builder}",
                    f"wait until it is done; or end it (pg_terminate_backend({one.builder})), then run again",
                )


def _expected(history: History, stamp: str | None) -> frozenset[str]:
    found: set[str] = set()
    done: list[str] = []
    for revision in history.until(stamp):
        gone = revision.takes | _gone_along(revision, done)
        found = ({effects.under(name, revision.renames) for name in found} - gone) | revision.makes
        done += revision.up
    return frozenset(found)


def _gone_along(revision: Revision, done: Sequence[str]) -> frozenset[str]:
    """Name what a revision puts away with its table, or its columns: no statement of it names that."""
    match revision.phase, revision.shape:
        case "contract", Columns(table=table, old=old) if old:
            return effects.indexes_of(done, table, old)
        case "contract", Dropped(table=table, columns=columns) if columns:
            return effects.indexes_of(done, table, columns)
        case "contract", Replaced(by=table) | Dropped(table=table, columns=()):
            return effects.taken([f"DROP TABLE {table}"])
        case _:
            return frozenset()


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
