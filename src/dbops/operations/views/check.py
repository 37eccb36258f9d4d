"""What is wrong, or worth knowing, about materialized views; pure. Codes are stable."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.operations.views.facts import Compared, Declared, Facts, Outcome, View
from dbops.operations.views.plan import declaration, why_plain

_DEAD_ROWS = 10_000  # fewer are no bloat worth telling


def check(facts: Facts, declared: Declared, compared: Sequence[Compared] = ()) -> list[Finding]:
    """Judge every view of a database against what is declared of it."""
    found: list[Finding] = [*_absent(facts, declared)]
    ages = facts.ages()
    for view in facts.views:
        found += _view(facts, view, declared, ages[view.oid])
    for one in compared:
        found += _content(facts, one)
    return found


def _absent(facts: Facts, declared: Declared) -> Iterator[Finding]:
    there = {name for view in facts.views for name in (view.shown, f"{view.schema}.{view.name}")}
    there |= {view.name for view in facts.views if view.schema == "public"}
    for name in sorted(declared.keys() - there):
        told = f"{name} is declared, and there is no such materialized view"
        yield Finding(Severity.BAD, "DBW101", facts.target, told, "create it, or take it out of the configuration")


def _view(facts: Facts, view: View, declared: Declared, age: timedelta | None) -> Iterator[Finding]:
    again = f"dbops matview refresh {view.shown} --target {facts.target}"
    setting = declaration(declared, view)
    if view.bound:
        told = f"a refresh of {view.shown} would lose rows and say nothing: {'; '.join(view.bound)}"
        yield Finding(Severity.BAD, "DBW102", facts.target, told, "give the view an owner with BYPASSRLS")
    if not view.populated:
        told = f"{view.shown} was never filled: whoever reads it gets an error"
        yield Finding(Severity.BAD, "DBW103", facts.target, told, again)
    elif setting is not None and setting.staleness is not None:
        yield from _staleness(facts, view, age, setting.staleness)
    if view.past.outcome is Outcome.FAILED and view.past.last_at is not None:
        told = f"the last refresh of {view.shown} failed at {units.instant(view.past.last_at)}: {view.past.error}"
        yield Finding(Severity.WARNING, "DBW105", facts.target, told, again)
    yield from _shape(facts, view, wants_readers_free=setting is None or setting.mode != "plain")


def _staleness(facts: Facts, view: View, age: timedelta | None, objective: timedelta) -> Iterator[Finding]:
    hint = "dbops matview refresh --stale"
    if age is None:
        told = f"how old {view.shown} is cannot be told: no refresh of it, or of one below it, is known"
        yield Finding(Severity.UNKNOWN, "DBW108", facts.target, told, hint)
    elif age > objective:
        told = f"{view.shown} may be {units.duration(age)} old, {units.duration(objective)} are promised"
        yield Finding(Severity.MISSED, "DBW104", facts.target, told, hint)


def _shape(facts: Facts, view: View, *, wants_readers_free: bool) -> Iterator[Finding]:
    if view.invalid:
        told = f"{view.shown} has invalid indexes, which cost writes and serve nobody: {', '.join(view.invalid)}"
        yield Finding(Severity.WARNING, "DBW106", facts.target, told, f"REINDEX INDEX CONCURRENTLY {view.invalid[0]}")
    if view.key is None and wants_readers_free:
        told = f"readers of {view.shown} wait for every refresh: {why_plain(view)}"
        yield Finding(Severity.WARNING, "DBW107", facts.target, told, view.index_ddl)
    if view.dead > max(view.live, _DEAD_ROWS):
        told = f"{view.shown} holds {view.dead} dead rows beside {view.live} live ones ({units.size(view.size)})"
        yield Finding(Severity.WARNING, "DBW109", facts.target, told, f"VACUUM {view.shown}: autovacuum lags behind")


def _content(facts: Facts, one: Compared) -> Iterator[Finding]:
    if one.failed is not None or one.too_many is None or one.missing is None:
        told = f"{one.view} could not be compared with its query: {one.failed}"
        yield Finding(Severity.UNKNOWN, "DBW110", facts.target, told)
        return
    if not one.too_many and not one.missing:
        return
    changed = next((view.changed for view in facts.views if view.shown == one.view), "")
    told = f"{one.view} has {one.too_many} rows that its query does not give, and lacks {one.missing}"
    if changed:
        told = f"{told}; that may be its age: {changed}"
        yield Finding(Severity.UNKNOWN, "DBW110", facts.target, told, "refresh it, then compare again")
    else:
        yield Finding(
            Severity.BAD, "DBW111", facts.target, told, "refresh it with --force, and find out who wrote to it"
        )
