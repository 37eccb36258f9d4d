"""`dbops vault`: what the vault holds, whether it is whole, and its second copies."""

from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops.cli import render
from dbops.cli.door import Result, command, family
from dbops.cli.flow import Target, change
from dbops.cli.options import Asked, AskedChange
from dbops.engine import clock
from dbops.engine.ending import Measure
from dbops.engine.finding import verdict
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dbops.operations.vault.facts import Wanted

app = family("vault")

_MOST_SLICES = 10_000


class Depth(StrEnum):
    """How closely a verification looks."""

    LISTED = "listed"
    STORED = "stored"
    CONTENT = "content"


Stores = Annotated[list[str] | None, typer.Option("--store", metavar="STORE", help="Only this store (repeatable).")]
Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this target (repeatable).")
]
Kinds = Annotated[list[str] | None, typer.Option("--kind", metavar="KIND", help="Only this kind (repeatable).")]
Place = Annotated[str | None, typer.Option("--place", metavar="COPY", help="This second copy, and not the vault.")]
_NAME = "An artifact; a part of its name that no other has will do."


@command(app, "list", "dbops vault list", "dbops vault list --store postgres --target audit --output json")
def list_(
    asked: Asked, *, store: Stores = None, target: Targets = None, kind: Kinds = None, place: Place = None
) -> Result:
    """List the artifacts of every store, newest first: age, size, state, copies, last verification."""
    from dbops.cli import vault_told as told
    from dbops.operations.vault import check, ready

    config = asked.load().config
    now = clock.now()
    vault, copies = ready.looked(config, _wanted(store, target, kind), place, now=now)
    listing = told.listing(vault, copies, now)
    findings = tuple(check.check_vault(vault, copies, now))
    asked.invocation.watch.judged((vault.place, *(one.place for one in copies)), findings)
    measures = tuple(Measure(one.name, "copy_lag", one.lag, one.max_age) for one in listing.copies)
    return Result(listing, told.listing_screen(listing), findings, measures=measures)


def _wanted(store: list[str] | None, target: list[str] | None, kind: list[str] | None) -> "Wanted":
    from dbops.operations.vault.facts import Wanted

    return Wanted(frozenset(store or ()), frozenset(target or ()), frozenset(kind or ()))


@command(app, "show", "dbops vault show 20260801T020000", "dbops vault show audit/20260801 --place offsite -o json")
def show(
    asked: Asked, *, name: Annotated[str, typer.Argument(metavar="NAME", help=_NAME)], place: Place = None
) -> Result:
    """Show one artifact's manifest: files, hashes, counts, source, recipients, and its verifications."""
    from dbops.cli import vault_told as told
    from dbops.operations.vault import ready

    now = clock.now()
    found = ready.shown(asked.load().config, name, place, now=now)
    data = told.ShownTold(found.place, told.entry(found.artifact, now), found.manifest, found.verified)
    return Result(data, tuple(told.shown_screen(data)), found.findings)


@command(
    app,
    "verify",
    "dbops vault verify --newest --depth content",
    "dbops vault verify --all --subset 3/7",
    "dbops vault verify postgres/audit/20260801T020000.123Z-dump --plan",
)
def verify(
    asked: Asked,
    *,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help=_NAME)] = None,
    all: Annotated[bool, typer.Option("--all", help="Every artifact.")] = False,
    newest: Annotated[bool, typer.Option("--newest", help="The newest of each store, target and kind.")] = False,
    depth: Annotated[
        Depth,
        typer.Option(help="listed: names and sizes; stored: every byte hashed; content: also decrypted, unpacked."),
    ] = Depth.STORED,
    subset: Annotated[
        str, typer.Option(metavar="N/T", help="Slice N of T; after all T slices every byte was read.")
    ] = "1/1",
    store: Stores = None,
    target: Targets = None,
    kind: Kinds = None,
    place: Place = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be read; read nothing.")] = False,
) -> Result:
    """Read artifacts back: 0 good, 4 bad, 5 could not be verified. The result is kept beside each artifact."""
    from dbops.cli import vault_told as told
    from dbops.operations.vault import plan as plans
    from dbops.operations.vault import verify as verifying

    if (name is not None) + all + newest != 1:
        raise UsageError("say what to verify: a NAME, --newest or --all", hint="dbops vault verify --help")
    slices = _slices(subset)
    loaded = asked.load()
    config = loaded.config
    held = verifying.to_choose_from(config, place, _wanted(store, target, kind), now=clock.now())
    chosen = plans.chosen(held, held.seen, name, newest=newest)
    if plan:
        wanted = plans.readings(chosen, reads=depth is not Depth.LISTED, subset=slices)
        total = sum(one.read_bytes for one in wanted)
        planned = told.VerifyPlan(held.place, depth.value, subset, wanted, total)
        return Result(planned, tuple(told.plan_screen(planned)))
    how = verifying.closely(config, depth.value, slices)
    run = asked.run(loaded.state_dir)
    outcomes = verifying.verified(config, held, chosen, run, how=how, on_progress=render.progress)
    findings = tuple(finding for one in outcomes for finding in one.findings)
    asked.invocation.watch.judged((held.place,), findings)
    data = told.VerifyTold(held.place, depth.value, subset, verdict(findings), outcomes)
    return Result(data, tuple(told.verified_screen(data)), findings)


def _slices(text: str) -> tuple[int, int]:
    """Read `3/7`."""
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 5 for part in parts):
        raise UsageError(f"--subset: {text!r} is no slice such as 3/7")
    nth, of = map(int, parts)
    if not 1 <= nth <= of <= _MOST_SLICES:
        raise UsageError(f"--subset: {text!r} is no slice: the first number is 1 to the second, at most {_MOST_SLICES}")
    return nth, of


@command(app, "copy", "dbops vault copy --plan", "dbops vault copy --to offsite")
def copy(
    asked: AskedChange,
    *,
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="COPY", help="Only this second copy (repeatable).")
    ] = None,
) -> Result:
    """Bring each second copy up to the vault: data first, manifests last, nothing written over. Lock subject: vault."""
    from dbops.operations.vault import ready

    loaded = asked.load()
    config = loaded.config
    now = clock.now()
    names = ready.copies_of(config, tuple(to or ()))
    targets = [Target(name, partial(ready.ready_copy, config, name, now=now)) for name in names]
    result = change(
        asked,
        asked.run(loaded.state_dir),
        targets,
        environment=config.platform.environment,
        keep_going=True,  # a copy that is away must not keep the others from theirs
        may_lose_data=False,
    )
    return replace(result, next_actions=_next(asked, result))


def _next(asked: AskedChange, result: Result) -> tuple[str, ...]:
    if result.exit_code not in {ExitCode.OK, ExitCode.WARNINGS} or not result.data.steps:
        return ()
    return (f"dbops vault {'copy' if asked.plan else 'list'}{asked.where}",)
