"""Open one target of a sandbox for seeding: refuse what is not its own, lock it, look at it, plan."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import assert_never

from dbops.engine.locks import on_this_host
from dbops.engine.plan import Plan, Ready, Step
from dbops.engine.run import Run
from dbops.errors import Refused, UsageError
from dbops.sandbox import layout as layouts
from dbops.sandbox.facts import CACHE, DATABASES, EMULATORS, SEARCH, WORKFLOWS, State
from dbops.sandbox.layout import Layout
from dbops.sandbox.observe import cache_state, cluster_state, emulator_state
from dbops.sandbox.seed import copy, documents, entries, keys, markers, places, plan
from dbops.sandbox.seed.databases import TABLES
from dbops.sandbox.seed.facts import SIZES, UNTIL, Facts
from dbops.sandbox.seed.world import World
from dbops.stores import cosmos, ledger, postgres, redis, search

SUBJECT = "seed"
ALL = (*TABLES, CACHE, *EMULATORS)


def world(size: str, until: str | None) -> World:
    try:
        day = UNTIL if until is None else date.fromisoformat(until)
    except ValueError:
        raise UsageError(f"--until: {until!r} is no date", hint="such as 2026-11-01") from None
    return World(SIZES[size], day)


def there(folder: Path) -> list[str]:
    """Name the targets of the sandbox: an old one may have no emulators."""
    layout = layouts.at(folder)
    if not layout.marker.exists():
        raise Refused(f"there is no sandbox in {layout.root}", hint=f"dbops sandbox up --dir {layout.root}")
    return [target for target in ALL if target not in EMULATORS or emulator_state(layout, target) is not State.ABSENT]


@contextmanager
def seed(folder: Path, target: str, known: World, run: Run) -> Generator[Ready[plan.Action]]:
    """Plan what of the seed is missing in one target. Lock subject: seed."""
    layout = layouts.at(folder)
    _refuse_what_stands_still(layout, target)
    if target in DATABASES:
        opening = _database(layout, target, known, run)
    elif target == CACHE:
        opening = _cache(layout, known, run)
    elif target == WORKFLOWS:
        opening = _documents(layout, known, run)
    else:
        opening = _entries(layout, known, run)
    with opening as ready:
        yield ready


def _refuse_what_stands_still(layout: Layout, target: str) -> None:
    states = [cluster_state(layout)]  # the ledger is there
    if target == CACHE:
        states = [cache_state(layout)]
    elif target in EMULATORS:
        states.append(emulator_state(layout, target))
    if not {State.ABSENT, State.STOPPED, State.KILLED}.isdisjoint(states):  # a busy one may look as if it were starting
        raise Refused(f"{target} does not run", hint=f"dbops sandbox up --dir {layout.root}", target=target)


def _planned(facts: Facts, known: World) -> Plan[plan.Action]:
    for message, hint in plan.refusals(facts, known.label):
        raise Refused(message, hint=hint, target=facts.target)
    return plan.fill(facts, known.label)


@contextmanager
def _database(layout: Layout, target: str, known: World, run: Run) -> Generator[Ready[plan.Action]]:
    place, tables = places.database(layout, target), TABLES[target](known)
    with postgres.connect(place, run, target=target) as connection, ExitStack() as stack:
        guard = _guarded(stack, connection, layout, target, run)
        facts = copy.observe(connection, tables, target=target)

        def do(step: Step[plan.Action]) -> None:
            match step.action:
                case plan.Partition(_, statements):
                    copy.partition(connection, statements)
                case plan.Fill(name):
                    table = next(table for table in tables if table.name == name)
                    copy.fill(connection, table, run, target=target, seed=known.label)
                case plan.Create() | plan.Warm():
                    raise AssertionError(step.action)
                case _:
                    assert_never(step.action)

        yield Ready(_planned(facts, known), do, guard)


def _guarded(
    stack: ExitStack, connection: postgres.Connection, layout: Layout, target: str, run: Run
) -> Callable[[], None]:
    if run.plan_only:
        return lambda: None
    postgres.reap_dead_runs(connection, target)
    return stack.enter_context(postgres.only_run(places.database(layout, target), run, target=target, subject=SUBJECT))


@contextmanager
def _cache(layout: Layout, known: World, run: Run) -> Generator[Ready[plan.Action]]:
    with redis.connect(places.cache(layout), target=CACHE) as client, ExitStack() as stack:
        if not run.plan_only:
            stack.enter_context(on_this_host(run, CACHE, SUBJECT))
        facts = keys.observe(client, known, target=CACHE)

        def do(_step: Step[plan.Action]) -> None:
            keys.write(client, known)

        yield Ready(plan.warm(facts, known.label), do)


@contextmanager
def _documents(layout: Layout, known: World, run: Run) -> Generator[Ready[plan.Action]]:
    with cosmos.connect(places.workflows(layout), target=WORKFLOWS) as account:
        filling = _Filling(
            partial(documents.observe, account, known),
            partial(documents.create, account),
            partial(documents.write, account, known),
        )
        with _marked(layout, WORKFLOWS, known, run, filling) as ready:
            yield ready


@contextmanager
def _entries(layout: Layout, known: World, run: Run) -> Generator[Ready[plan.Action]]:
    with search.connect(places.search(layout), target=SEARCH) as service:
        filling = _Filling(
            partial(entries.observe, service, known),
            partial(entries.create, service),
            partial(entries.write, service, known),
        )
        with _marked(layout, SEARCH, known, run, filling) as ready:
            yield ready


@dataclass(frozen=True, slots=True)
class _Filling:
    """What differs between the two stores that have no transactions."""

    observe: Callable[[markers.Told], Facts]
    create: Callable[[str], None]
    write: Callable[[str], None]


@contextmanager
def _marked(layout: Layout, target: str, known: World, run: Run, filling: _Filling) -> Generator[Ready[plan.Action]]:
    """Keep the markers of a store without transactions in the platform's ledger."""
    place = places.database(layout, places.LEDGER)
    with postgres.connect(place, run, target=places.LEDGER) as connection, ExitStack() as stack:
        if ledger.observe(connection, target=places.LEDGER) != ledger.VERSION:
            hint = f"bring its schema first: dbops migrate up --target {places.LEDGER}"
            raise Refused("the ledger of the platform is not there", hint=hint, target=places.LEDGER)
        if not run.plan_only:
            stack.enter_context(on_this_host(run, target, SUBJECT))
        facts = filling.observe(markers.read(connection, target=target))
        rows = {part.name: part.rows for part in facts.parts}

        def do(step: Step[plan.Action]) -> None:
            match step.action:
                case plan.Create(name):
                    filling.create(name)
                case plan.Fill(name):
                    markers.write_begun(connection, run, name, target=target, seed=known.label)
                    filling.write(name)
                    markers.write_filled(connection, run, name, target=target, seed=known.label, rows=rows[name])
                case plan.Partition() | plan.Warm():
                    raise AssertionError(step.action)
                case _:
                    assert_never(step.action)

        yield Ready(_planned(facts, known), do)


def named(folder: Path, wanted: Sequence[str]) -> list[str]:
    """Return the targets to seed: those that were named, in our order."""
    found = there(folder)
    for name in wanted:
        if name not in found:
            raise UsageError(f"{name!r} is no target of this sandbox", hint=f"one of: {', '.join(found)}")
    return [name for name in found if not wanted or name in wanted]
