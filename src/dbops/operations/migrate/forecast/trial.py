"""Run revisions on a clone, statement by statement, in the transactions that they ask for; tell what each one does."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import psycopg
from psycopg import errors, sql

from dbops.engine import stop
from dbops.operations.migrate import effects, environment
from dbops.operations.migrate.forecast import apart, diff, leaves, observe
from dbops.operations.migrate.forecast.apart import Clone
from dbops.operations.migrate.forecast.facts import SUE, Failure, Lock, Relation, Seen, strength
from dbops.operations.migrate.forecast.script import Written
from dbops.operations.migrate.forecast.text import head, plain

Held = frozenset[tuple[int, str]]

_ALONE = (errors.ActiveSqlTransaction, errors.InvalidTransactionTermination)  # COMMIT within DO, or a procedure
_TO_CLIENT = re.compile(r"\b(?:FROM\s+STDIN|TO\s+STDOUT)\b", re.IGNORECASE)
_SCANS = "SELECT oid, pg_stat_get_numscans(oid) FROM unnest(%s::oid[]) AS t (oid)"


@dataclass(frozen=True, slots=True)
class Tried:
    """What was seen; the statement that failed, if one did, is the last."""

    seen: tuple[Seen, ...]
    error: psycopg.Error | None = None
    major: int = 0  # the version of the server that it ran on


class _RefusedError(Exception):
    """PostgreSQL refused a statement of a revision."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class _Transaction:
    """What is known within one transaction of a revision."""

    existed: frozenset[int]  # before the revision
    held: Held = frozenset()
    known: Mapping[int, Relation] = field(default_factory=dict[int, Relation])
    looked_at: set[int] = field(default_factory=set[int])  # what is missing in `known` was dropped
    scans: Mapping[int, int] = field(default_factory=dict[int, int])


def tried(
    dsn: str, revisions: Mapping[str, Sequence[Written]], meeting_rows: Collection[str], *, with_roles: bool = True
) -> Tried:
    """Run them, and commit: the clone is thrown away. Ends at the first statement that fails.

    `meeting_rows` are the revisions that will find rows; for them, partitioned tables get a partition to act on.
    Without roles, those of the cluster are not there: one that a revision names is made for it.
    """
    found: list[Seen] = []
    with psycopg.connect(dsn, autocommit=True) as work, psycopg.connect(dsn, autocommit=True) as eye:
        for name, value in environment.SETTINGS.items():
            work.execute("SELECT set_config(%s, %s, false)", (name, value))
        clone, major = Clone(dsn, work, eye), work.info.server_version // 10000
        for revision, statements in revisions.items():
            stop.check()
            if revision in meeting_rows:
                leaves.add(eye)
            existed = observe.everything(eye)
            for _, group in groupby(statements, key=lambda one: one.transaction):
                together, seen_before = list(group), len(found)
                while (error := _group(clone, together, existed, found)) is not None:
                    if with_roles or not _made_role(clone, error):
                        return Tried(tuple(found), error, major)
                    del found[seen_before:]
        leaves.remove(eye)
    return Tried(tuple(found), None, major)


def _group(clone: Clone, group: Sequence[Written], existed: frozenset[int], found: list[Seen]) -> psycopg.Error | None:
    """Run the statements of one transaction, or those that stand outside of any; return what failed."""
    try:
        if group[0].transaction is None:
            _outside(clone, group, existed, found)
        else:
            _together(clone, group, _Transaction(existed), found)
    except _RefusedError as refused:
        return refused.error
    return None


_NO_ROLE = re.compile(r'role "(.+)" does not exist')


def _made_role(clone: Clone, error: psycopg.Error) -> bool:
    """Make the role that a transaction missed; nothing of it was kept, and it can be run again."""
    missing = _NO_ROLE.fullmatch(error.diag.message_primary or "")
    if missing is None or not isinstance(error, errors.UndefinedObject):
        return False
    clone.eye.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(missing[1])))
    return True


def _together(clone: Clone, group: Iterable[Written], within: _Transaction, found: list[Seen]) -> None:
    # the server's counters may still hold what earlier transactions read
    within.scans = observe.scans(clone.work, within.existed)
    with clone.work.transaction():
        for one in group:
            try:
                if head(one.text) == "COPY" and _TO_CLIENT.search(plain(one.text)):
                    raise errors.FeatureNotSupported("COPY waits for a client, and a revision has none")
                clone.work.execute(one.text.encode())
            except psycopg.Error as error:
                found.append(_failed(one, error))
                raise _RefusedError(error) from error
            found.append(_seen_within(clone, one, within))


def _failed(one: Written, error: psycopg.Error) -> Seen:
    told = Failure(error.sqlstate or "", error.diag.message_primary or str(error))
    return Seen(one.revision, one.number, one.text, one.transaction, failed=told)


def _seen_within(clone: Clone, one: Written, within: _Transaction) -> Seen:
    """Compare what the transaction sees now with what it saw before the statement, wherever it holds a lock."""
    held = observe.locks(clone.eye, clone.backend)
    oids = {oid for oid, _ in held} | within.known.keys()
    # nobody else works on a clone: what the transaction has not touched is still as it was committed
    before = {**within.known, **observe.relations(clone.eye, oids - within.looked_at)}
    tables = {one.of for one in before.values() if one.of}
    after = observe.relations(clone.work, oids | tables)
    tables = ({one.of for one in after.values() if one.of} | tables) - oids - within.looked_at
    before |= observe.relations(clone.eye, tables)
    scans = {**within.scans, **observe.scans(clone.work, oids & within.existed)}
    read = {oid for oid, count in scans.items() if count > within.scans.get(oid, 0)}
    if head(one.text) == "ALTER":  # whoever validates reads all, be it by an index
        read |= {before[oid].of for oid in read if oid in before}
    seen = _seen(one, _Look(before, after, held, within.held, read), within.existed)
    within.held, within.scans, within.known = held, scans, after
    within.looked_at |= oids | tables
    return seen


def _outside(clone: Clone, group: Iterable[Written], existed: frozenset[int], found: list[Seen]) -> None:
    """Run statements that stand outside of transactions; most would do in one, and are seen best there."""
    for one in (each for written in group for each in _yielded(clone, written)):
        try:
            _together(clone, [one], _Transaction(existed), found)
            continue
        except _RefusedError as refused:
            if not isinstance(refused.error, _ALONE):
                raise
            found.pop()
        before = observe.relations(clone.eye, observe.everything(clone.eye))
        counted = _counted(clone, existed)
        try:
            locks = apart.run(clone, one.text, existed)
        except psycopg.Error as error:
            found.append(_failed(one, error))
            raise _RefusedError(error) from error
        after = observe.relations(clone.eye, observe.everything(clone.eye))
        scanned = {oid for oid, count in _counted(clone, existed).items() if count > counted.get(oid, 0)}
        # indexes are locked when nobody sees them yet, or any more
        felt = frozenset((oid, mode) for oid, mode in locks if oid not in before or before[oid].kind not in {"i", "I"})
        found.append(_seen(one, _Look(before, after, felt, frozenset(), scanned), existed))


def _yielded(clone: Clone, one: Written) -> Iterator[Written]:
    """Run the query of one that only yields statements, as psql does behind it."""
    query, asks, _ = one.text.partition(effects.ASKED)
    if not asks:
        yield one
        return
    for row in clone.work.execute(query.encode()).fetchall():
        yield replace(one, text=str(row[0]))


def _counted(clone: Clone, oids: frozenset[int]) -> dict[int, int]:
    """Count scans over all transactions. Before version 15 they may be told late: then none is seen."""
    if clone.work.info.server_version >= 150000:
        clone.work.execute("SELECT pg_stat_force_next_flush()")
    rows: list[Any] = clone.eye.execute(_SCANS, (list(oids),)).fetchall()
    return dict(rows)


@dataclass(frozen=True, slots=True)
class _Look:
    """The clone before and after a statement."""

    before: Mapping[int, Relation]
    after: Mapping[int, Relation]
    held: Held
    held_before: Held
    scanned: Iterable[int]


def _seen(one: Written, look: _Look, existed: frozenset[int]) -> Seen:
    after = look.after
    there = {oid: relation for oid, relation in look.before.items() if oid in existed}
    rewritten = {oid for oid, was in there.items() if oid in after and _moved(was, after[oid])}
    names = leaves.names(there)
    moved = [oid for oid in sorted(rewritten) if there[oid].is_table or there[oid].of not in rewritten]
    return Seen(
        one.revision,
        one.number,
        one.text,
        one.transaction,
        locks=tuple(
            dict.fromkeys(
                Lock(names[oid], mode, there[oid].kind, (oid, mode) in look.held_before)
                for oid, mode in sorted(look.held)
                if oid in there and (there[oid].kind in "rpvm" or strength(mode) >= strength(SUE))
            )
        ),
        rewritten=_names(names, moved),
        scanned=_names(names, [oid for oid in sorted(look.scanned) if oid in there and there[oid].is_table]),
        changes=tuple(
            change for change in diff.changes(look.before, after, existed) if not leaves.is_one(change.table)
        ),
        broken=tuple(now.name for now in after.values() if now.kind == "i" and not now.valid and now.of in there),
        fires=_fires(one.text, there, look.held),
    )


def _names(names: Mapping[int, str], oids: Iterable[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names[oid] for oid in oids))


def _moved(was: Relation, now: Relation) -> bool:
    return was.file is not None and was.file != now.file and was.kind in {"r", "m", "i"}


def _fires(text: str, there: Mapping[int, Relation], held: Held) -> tuple[str, ...]:
    changes_rows = {oid for oid, mode in held if mode == "ROW EXCLUSIVE" and oid in there}
    told: list[str] = []
    for oid in (
        sorted(changes_rows) if text.split(maxsplit=1)[0].upper() in {"UPDATE", "DELETE", "WITH", "INSERT"} else ()
    ):
        told += [f"trigger {name[1:]} of {there[oid].name}" for name in there[oid].triggers if name[0] != "D"]
        told += [f"publication {name}" for name in there[oid].publications]
    return tuple(dict.fromkeys(told))
