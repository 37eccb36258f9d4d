"""From what was seen on the clone to hazards, each with its code."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dbops.engine.finding import Severity
from dbops.operations.migrate.forecast import estimate
from dbops.operations.migrate.forecast.codes import CODES
from dbops.operations.migrate.forecast.facts import AEL, SHARE, Change, Hazard, Seen, Sizes, strength
from dbops.operations.migrate.forecast.text import head, made_anew, plain, short

Found = tuple[str, str, str]  # code, table, what is told


def hazards(seen: Sequence[Seen], sizes: Sizes) -> tuple[Hazard, ...]:
    """Judge statements, and the transactions that they share. What meets only empty tables is harmless."""
    found: list[Hazard] = []
    told_before: set[tuple[object, ...]] = set()
    for place, one in enumerate(seen):
        for code, table, told in dict.fromkeys(_of(one)):
            if code == "DBM142" and made_anew(table, _behind(seen[place:])):
                continue
            again = (code, one.revision, one.transaction, table)
            if CODES[code].severity is Severity.INFO and again in told_before:
                continue  # the transaction has that lock already
            told_before.add(again)
            found += _hazard(one, code, table, told, sizes)
    found += _of_transactions(seen, sizes)
    return tuple(sorted(found, key=lambda one: (_place(seen, one), one.code)))


def _behind(seen: Sequence[Seen]) -> list[str]:
    """Return the statements that follow the first one in its transaction."""
    first = seen[0]
    place = (first.revision, first.transaction)
    return [one.text for one in seen[1:] if first.transaction is not None and (one.revision, one.transaction) == place]


def versions(revision: str, here: int, there: int) -> Iterator[Hazard]:
    """Tell that the clone is of another version than the database: locks and rewrites may be others there."""
    if here != there:
        rule = CODES["DBM160"]
        message = f"forecast by PostgreSQL {here}, but the database is served by {there}"
        yield Hazard(rule.code, rule.severity, revision, 0, "", message, rule.recipe)


def _place(seen: Sequence[Seen], hazard: Hazard) -> int:
    return next(n for n, one in enumerate(seen) if (one.revision, one.number) == (hazard.revision, hazard.number))


def _hazard(one: Seen, code: str, table: str, told: str, sizes: Sizes) -> Iterator[Hazard]:
    rule = CODES[code]
    size = sizes.of(table, one.revision) if table else None
    severity, long = rule.severity, ""
    if size is not None:
        if size.rows == 0:
            return
        low, high = estimate.seconds(rule.cost, size)
        if rule.cost != "brief":
            long = f", {size.rows:,} rows, {estimate.told(low, high)}"
            severity = Severity.INFO if high < estimate.TINY_S and not rule.breaks else severity
    mode = strongest(one, table)
    felt = rule.cost != "brief" and code != "DBM116" and mode and strength(mode) >= strength(SHARE)
    lock = f" under {mode}" if felt else ""
    message = f"{one.revision} statement {one.number}, {short(one.text)}: {told}{lock}{long}"
    yield Hazard(code, severity, one.revision, one.number, table, message, rule.recipe)


def strongest(one: Seen, table: str) -> str:
    """Return the strongest lock on a table while the statement runs, whoever took it."""
    modes = [lock.mode for lock in one.locks if lock.relation == table]
    return max(modes, key=strength, default="")


def _blocks(one: Seen, table: str) -> bool:
    mode = strongest(one, table)
    return bool(mode) and strength(mode) >= strength(SHARE)


# ── One statement ────────────────────────────────────────────────────────────────────────────────


def _of(one: Seen) -> Iterator[Found]:
    if one.failed is not None:
        yield from _of_failure(one)
        return
    known = [*_rewrites(one), *_scans(one)]
    for change in one.changes:
        known += _of_change(one, change)
    known += _of_text(one)
    yield from known
    if not known:
        yield from _unexplained(one)
    for index in one.broken:
        yield "DBM144", "", f"index {index} is invalid"


_FAILURES = {"25001": "DBM143", "55P04": "DBM133"}


def _of_failure(one: Seen) -> Iterator[Found]:
    assert one.failed is not None  # noqa: S101
    if "NOT VALID foreign key" in one.failed.message:
        yield "DBM118", "", one.failed.message
    elif code := _FAILURES.get(one.failed.sqlstate):
        yield code, "", one.failed.message


def _with(one: Seen, what: str, table: str | None = None) -> list[Change]:
    return [each for each in one.changes if each.what == what and table in {None, each.table}]


def _rewrites(one: Seen) -> Iterator[Found]:
    tables = {lock.relation for lock in one.locks if lock.kind in {"r", "m"}}
    for name in one.rewritten:
        if name not in tables:
            yield "DBM124", _table_of_index(one), f"index {name} is built anew"
            continue
        match head(one.text):
            case "TRUNCATE":
                yield "DBM130", name, f"{name} is emptied"
            case "REFRESH":
                yield "DBM134", name, f"{name} is filled anew"
            case _:
                yield from ((code, name, f"{name} is rewritten{why}") for code, why in _why_rewritten(one, name))


def _table_of_index(one: Seen) -> str:
    return next((lock.relation for lock in one.locks if lock.kind in {"r", "m"}), "")


_INSTANT = "timestamp without time zone to timestamp with time zone"


def _why_rewritten(one: Seen, table: str) -> Iterator[tuple[str, str]]:
    """Only those changes of a statement that can be the reason; without one, it is a rewrite as such."""
    none = True
    for change in _with(one, "type changed", table):
        none = False
        yield "DBM113" if _INSTANT in change.told else "DBM112", f", {change.name} from {change.told}"
    for change in _with(one, "column added", table):
        if code := _column_that_rewrites(change.about):
            none = False
            yield code, f" for the new column {change.name}"
    if none:
        yield "DBM129", ""


def _column_that_rewrites(about: frozenset[str]) -> str | None:
    if "serial" in about:
        return "DBM102"
    if about & {"identity", "generated"}:
        return "DBM103"
    if "checked" in about:
        return "DBM104"
    return "DBM101" if "default" in about else None


_OWN_SCANS = {"REFRESH", "CLUSTER", "VACUUM", "TRUNCATE", "REINDEX", "ANALYZE"}


def _scans(one: Seen) -> Iterator[Found]:
    if head(one.text) in _OWN_SCANS:
        return
    for table in one.scanned:
        if table not in one.rewritten and _blocks(one, table):
            yield from ((code, about, f"{about} is read whole{why}") for code, about, why in _why_scanned(one, table))


def _unexplained(one: Seen) -> Iterator[Found]:
    """A scan under a lock of its own whose reason no rule knows is none the better for it."""
    if head(one.text) in _OWN_SCANS:
        return
    own = {lock.relation for lock in one.locks if not lock.held and strength(lock.mode) >= strength(SHARE)}
    for table in one.scanned:
        if table in own:
            yield "DBM141", table, f"{table} is read whole"


def _why_scanned(one: Seen, table: str) -> Iterator[Found]:
    fresh = bool(_with(one, "column added", table))
    keys = _with(one, "constraint added", table)
    for key in keys:
        kind = next(iter(key.about & {"c", "f", "p", "u", "x"}), "")
        given = "by an index that was there" in key.about
        if kind == "c" and "valid" in key.about:
            yield "DBM105" if fresh else "DBM115", table, f" for {key.name}"
        elif kind in {"p", "u", "x"}:
            yield "DBM121" if given else "DBM106" if fresh else "DBM120", table, f" for {key.name}"
    if not any("p" in key.about for key in keys):
        for change in _with(one, "not null set", table):
            yield "DBM114", table, f" for {change.name}"
    roots = [change.table for change in _with(one, "index added") if "partitioned" in change.about]
    if not keys:
        for change in _with(one, "index added", table):
            yield "DBM125" if roots else "DBM122", (roots or [table])[0], "" if roots else f" for {change.name}"
    for change in _with(one, "attached"):
        if change.name == table or strongest(one, table) == AEL:
            yield "DBM126", table, f" to be a partition of {change.table}"


def _of_change(one: Seen, change: Change) -> Iterator[Found]:
    table, name = change.table, change.name
    match change.what:
        case "column added":
            if "required" in change.about and not change.about & {"default", "serial", "identity", "generated"}:
                yield "DBM108", table, f"{table}.{name} is required, and has no default"
            if change.told == "json":
                yield "DBM109", table, f"{table}.{name} is json"
        case "column dropped":
            yield "DBM110", table, f"{table}.{name} goes"
        case "column renamed":
            yield "DBM111", table, f"{table}.{name} becomes {change.told}"
        case "renamed" if change.about & {"r", "p", "v", "m"}:
            yield "DBM111", table, f"{table} becomes {name}"
        case "constraint added" if "f" in change.about and "valid" in change.about:
            told = f"{name} between {table} and {change.told}"
            if _with(one, "column added", table):
                yield "DBM107", table, told
            elif set(one.scanned) - {change.told} or table == change.told:
                yield "DBM117", table, told  # a partitioned table that adopts those of its partitions reads nothing
        case "constraint dropped" if "f" in change.about and change.told:
            yield "DBM119", change.told, f"{name} between {table} and {change.told} goes"
        case "dropped" if change.about & {"r", "p", "v", "m"}:
            yield "DBM142" if "v" in change.about else "DBM135", table, f"{table} goes"
        case _:
            yield from _of_brief(one, change)


def _of_brief(one: Seen, change: Change) -> Iterator[Found]:
    table, name = change.table, change.name
    exclusive = strongest(one, table) == AEL
    match change.what:
        case "index dropped" if exclusive:
            yield "DBM123", table, f"index {name} goes"
        case "partition created" if exclusive:
            yield "DBM127", table, f"{name} becomes a partition of {table}"
        case "detached" if exclusive:
            yield "DBM128", table, f"{name} leaves {table}"
        case "child created":
            yield "DBM140", table, f"{name} refers to {table}"
        case "trigger added" | "trigger changed":
            yield "DBM131", table, f"trigger {name} of {table}"
        case "trigger dropped":
            yield "DBM132", table, f"trigger {name} of {table} goes"
        case "policy changed":
            yield "DBM132", table, f"policies of {table}"
        case "manners changed":
            yield "DBM132", table, f"row security, replica identity or owner of {table}"
        case _:
            pass


_IF_NOT_EXISTS = re.compile(r"CREATE\s+(UNIQUE\s+)?INDEX\s+(CONCURRENTLY\s+)?IF\s+NOT\s+EXISTS", re.IGNORECASE)
_RENAME_VALUE = re.compile(r"ALTER\s+TYPE\s+\S+\s+RENAME\s+VALUE", re.IGNORECASE)
_CHANGES_IN_BLOCK = re.compile(r"DO\b[\s\S]*\b(?:UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_RENAME_SCHEMA = re.compile(r"ALTER\s+SCHEMA\s+\S+\s+RENAME", re.IGNORECASE)


def _of_text(one: Seen) -> Iterator[Found]:
    """What leaves no trace in the locks of a clone."""
    if _IF_NOT_EXISTS.match(one.text):
        yield "DBM137", _table_of_index(one), "an invalid index of this name would stay"
    if _RENAME_VALUE.match(one.text):
        yield "DBM139", "", "the old value is gone at once"
    if _RENAME_SCHEMA.match(one.text):
        yield "DBM111", "", "every name in it changes at once"
    if head(one.text) in {"UPDATE", "DELETE", "MERGE", "WITH"} or _CHANGES_IN_BLOCK.match(plain(one.text)):
        for lock in one.locks:
            if lock.mode == "ROW EXCLUSIVE" and lock.kind in {"r", "p"}:
                fires = f"; fires {', '.join(one.fires)}" if one.fires else ""
                yield "DBM138", lock.relation, f"rows of {lock.relation} are changed{fires}"


# ── Statements that share a transaction ──────────────────────────────────────────────────────────


def _of_transactions(seen: Sequence[Seen], sizes: Sizes) -> Iterator[Hazard]:
    shared: dict[tuple[str, int], list[Seen]] = {}
    for one in seen:
        if one.transaction is not None:
            shared.setdefault((one.revision, one.transaction), []).append(one)
    for statements in shared.values():
        yield from _several(statements, sizes)
        yield from _kept(statements, sizes)


def _several(statements: Sequence[Seen], sizes: Sizes) -> Iterator[Hazard]:
    locked: dict[str, int] = {}
    for one in statements:
        mine = {table for table in _locked(one, sizes) if table not in locked}
        if mine and locked:
            tables = ", ".join(sorted({*locked, *mine}))
            yield from _hazard(one, "DBM136", min(mine), f"strong locks on {tables} in one transaction", sizes)
            return
        locked |= dict.fromkeys(mine, one.number)


def _locked(one: Seen, sizes: Sizes) -> Iterator[str]:
    """Name the tables with rows that it locks strongly, and nobody before it did."""
    for lock in one.locks:
        strong = not lock.held and lock.kind in {"r", "p", "m"} and strength(lock.mode) >= strength(SHARE)
        if strong and _holds_rows(lock.relation, one, sizes):
            yield lock.relation


def _holds_rows(table: str, one: Seen, sizes: Sizes) -> bool:
    size = sizes.of(table, one.revision)
    return size is None or size.rows > 0


def _kept(statements: Sequence[Seen], sizes: Sizes) -> Iterator[Hazard]:
    """Tell of the first long statement that runs while a lock of an earlier one is held."""
    taken: Mapping[str, int] = {}
    for one in statements:
        long = next((name for name in _read(one) if _holds_rows(name, one, sizes)), None)
        held = [table for table in taken if table != long or not _locks_itself(one, table)]
        if long is not None and held:
            told = f"{long} is read while {held[0]} is locked by statement {taken[held[0]]}"
            yield from _hazard(one, "DBM116", long, told, sizes)
            return
        mine = {table: one.number for table in _locked(one, sizes) if strongest(one, table) == AEL}
        taken = {**mine, **taken}


def _locks_itself(one: Seen, table: str) -> bool:
    """Tell whether its own lock is as strong as the one that is held: alone, it would be no better."""
    return table in one.rewritten or not any(
        lock.relation == table and not lock.held and strength(lock.mode) < strength(SHARE) for lock in one.locks
    )


def _read(one: Seen) -> Iterable[str]:
    return (*one.scanned, *one.rewritten)
