"""What is left to do with partitions whose retention is over; pure: the next run goes on where the last one was."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Plan, Risk, Step, qualified
from dbops.operations.partitions import retire_sql as sql
from dbops.operations.partitions.facts import Wish
from dbops.operations.partitions.retire_facts import (
    Action,
    Compare,
    Detach,
    Drop,
    Export,
    Finalize,
    InstallLedger,
    Part,
    Retired,
    Seal,
    Shelve,
)

_NO_GRACE = timedelta(0)


def plan(table: Retired, wish: Wish, now: datetime) -> Plan[Action]:
    title = f"retire partitions of {table.label}"
    if table.standby:
        return Plan(table.target, f"{title}: skipped, the server is a standby")
    going = _going(table, wish, now)
    steps = [step for part in going for step in _left(table, part, wish, now)]
    if any(isinstance(step.action, Detach) for step in steps):
        ours = {(part.schema, part.name) for part in going}
        steps = [*(_finalize(table, one) for one in table.pending if one not in ours), *steps]
        # one pending detach keeps all others from theirs, so ours is finished before the next one begins
        steps = [*(s for s in steps if _finishes(s)), *(s for s in steps if not _finishes(s))]
    if steps and table.ledger:
        install = "install the ledger (schema dbops)"
        first: Step[Action] = Step("ledger", install, InstallLedger(table.ledger), statements=table.ledger)
        steps = [first, *steps]
    return Plan(table.target, title, tuple(steps))


def _finishes(step: Step[Action]) -> bool:
    return isinstance(step.action, Finalize) or (isinstance(step.action, Detach) and step.action.part.pending)


def due(table: Retired, part: Part, now: datetime) -> bool:
    """Tell whether it is wholly past the longest retention of its rows; the current and the next one never are."""
    if part.end is None or part.keep is None or part.unknown:
        return False
    return part.end + part.keep <= now and not _current_or_next(table, part, now)


def _current_or_next(table: Retired, part: Part, now: datetime) -> bool:
    """A retention of zero, or a clock that is wrong, must not take what is being written."""
    if part.end is None or part.end > now:
        return True
    staying = (other.end for other in table.parts if other.attached and not other.pending)
    return part.attached and not any(end is None or end > part.end for end in staying)


def _going(table: Retired, wish: Wish, now: datetime) -> list[Part]:
    """Choose what goes. An empty partition stays while an older one does: `ensure` would only fill the gap again."""
    found: list[Part] = []
    older_stays = False
    for part in sorted(table.parts, key=lambda one: (one.begin is not None, one.begin or now)):
        goes = _may_go(table, part, wish, now) and not (part.attached and part.empty and older_stays)
        older_stays = older_stays or (part.attached and not part.pending and not goes)
        found += [part] if goes else []
    return found


def _may_go(table: Retired, part: Part, wish: Wish, now: datetime) -> bool:
    if not part.leaf or part.held is not None or part.referenced_by:
        return False
    if part.restored is not None and part.attached and part.restored + wish.grace > now:
        return False
    # what has left already was due when it did; rows that came in meanwhile do not bring it back by themselves
    return not part.attached or due(table, part, now)


def _left(table: Retired, part: Part, wish: Wish, now: datetime) -> Iterator[Step[Action]]:
    """Tell what is left for one partition: every step finds its work undone, or is not told."""
    archived = wish.action == "archive"
    if archived and (part.copied is None or not part.copied.in_vault):
        yield _export(part)
    if part.attached or part.pending:
        yield _detach(table, part)
    if not part.sealed or part.grantees or (part.foreign_keys and not part.attached):
        yield _seal(part)
    if archived and not part.agreed:
        yield _compare(part)
    if not part.in_grace:
        yield _shelve(part)
    over = part.grace_since is not None and part.grace_since + wish.grace <= now
    if wish.action != "detach" and (over or wish.grace <= _NO_GRACE):
        yield _drop(part, compared=archived)


def _export(part: Part) -> Step[Action]:
    count = f"about {part.rows:,} rows, " if part.rows else ""  # nobody has counted them yet
    notes = (f"{count}{units.size(part.bytes)}; reads only, in one snapshot",)
    return Step(f"export {part.label}", f"export {part.label} to the vault and read it back", Export(part), notes=notes)


def _finalize(table: Retired, name: tuple[str, str]) -> Step[Action]:
    return Step(
        f"finalize {'.'.join(name)}",
        f"finish the interrupted detach of {'.'.join(name)}",
        Finalize(*name),
        risk=Risk.BLOCKS,
        statements=(sql.finalize(table, name),),
        notes=("waits for transactions that may still see it; takes ACCESS EXCLUSIVE on it alone",),
    )


def _detach(table: Retired, part: Part) -> Step[Action]:
    concurrently = table.default is None
    if part.pending:
        notes: tuple[str, ...] = ("finishes a detach that was interrupted",)
        statement = sql.finalize(table, (part.schema, part.name))
    elif concurrently:
        notes = (f"takes SHARE UPDATE EXCLUSIVE on {table.label}: readers and writers go on",)
        statement = sql.detach(table, part, concurrently=True)
    else:
        why = f"the default partition {table.default} makes CONCURRENTLY impossible"
        notes = (f"{why}: ACCESS EXCLUSIVE on {table.label} and {table.default}; queries queue behind the attempt",)
        statement = sql.detach(table, part, concurrently=False)
    if part.peers:
        notes = (*notes, f"waits for open writes of {', '.join(part.peers)}, which its foreign keys point to")
    how = " concurrently" if concurrently or part.pending else ""
    return Step(
        f"detach {part.label}",
        f"detach {part.label} from {table.table}{how}",
        Detach(part, concurrently),
        risk=Risk.BLOCKS,
        statements=(statement,),
        notes=notes,
    )


def _seal(part: Part) -> Step[Action]:
    notes = (f"takes SHARE ROW EXCLUSIVE on {part.label}, which is detached by then",)
    if part.peers:
        notes = (*notes, f"then ACCESS EXCLUSIVE on {', '.join(part.peers)} for an instant, to drop the foreign keys")
    return Step(
        f"seal {part.label}",
        f"take all rights on {part.label}",
        Seal(part),
        risk=Risk.BLOCKS,
        statements=sql.seal(part),
        notes=notes,
    )


def _compare(part: Part) -> Step[Action]:
    told = f"compare {part.label} with its copy, and export it anew if it differs"
    return Step(f"compare {part.label}", told, Compare(part))


def _shelve(part: Part) -> Step[Action]:
    return Step(
        f"shelve {part.label}",
        f"move {part.label} to the grace schema",
        Shelve(part),
        risk=Risk.BLOCKS,
        statements=sql.shelve(part),
    )


def _drop(part: Part, *, compared: bool) -> Step[Action]:
    notes: tuple[str, ...] = ("it has no copy: what is in it is lost",)
    if compared:
        where = (
            f"vault {part.copied.folder.rstrip('/')}" if part.copied is not None else "the copy that this run writes"
        )
        notes = (f"verified copy: {where}; both are compared once more, under the lock", "a difference: nothing goes")
    return Step(
        f"drop {part.label}",
        f"drop {qualified((part.schema if part.in_grace else sql.there(part), part.name))}",
        Drop(part, compared),
        risk=Risk.BLOCKS if compared else Risk.LOSES_DATA,
        statements=(sql.drop(part),),
        notes=notes,
    )


def findings(table: Retired, wish: Wish, now: datetime) -> Iterator[Finding]:
    """Tell what stays although its time is over, and why."""
    if table.standby:
        told = f"{table.label}: skipped, the server is a standby"
        yield Finding(Severity.INFO, "partition_standby", table.target, told, "run it against the primary")
    for part in table.parts:
        yield from _kept(table, part, wish, now)


def _kept(table: Retired, part: Part, wish: Wish, now: datetime) -> Iterator[Finding]:
    if part.attached and (part.unknown or not due(table, part, now)):
        if part.unknown and part.end is not None and part.end <= now and not _current_or_next(table, part, now):
            kinds = ", ".join(part.unknown[:5]) + (" ..." if len(part.unknown) > 5 else "")
            told = f"{part.label} stays: it holds rows for which no retention is told: {kinds}"
            hint = f"add a policy for each, so that {table.label} can be retired"
            yield Finding(Severity.WARNING, "partition_without_policy", table.target, told, hint)
        return
    if part.held is not None:
        told = f"{part.label} stays: it is under a legal hold ({part.held})"
        yield Finding(Severity.INFO, "partition_held", table.target, told)
    if not part.leaf:
        told = f"{part.label} stays: it is not a plain table (partitioned itself, or foreign)"
        yield Finding(Severity.WARNING, "partition_not_plain", table.target, told, "retire its own partitions first")
    if part.referenced_by:
        told = f"{part.label} stays: rows of {', '.join(part.referenced_by)} refer to it"
        yield Finding(Severity.WARNING, "partition_referenced", table.target, told, "remove those rows first")
    if part.attached and part.restored is not None and part.restored + wish.grace > now:
        until = units.instant(part.restored + wish.grace)
        told = f"{part.label} was restored, and stays until {until}"
        yield Finding(Severity.INFO, "partition_restored", table.target, told)
