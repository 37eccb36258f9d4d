"""How artifacts are told, to machines and to people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, cast

from dbops import units
from dbops.cli.envelope import plain
from dbops.cli.screen import Cell, Column, Line, Screen, Table, Tone
from dbops.copies.manifest import File, Manifest
from dbops.engine.finding import Verdict
from dbops.operations.vault.check import lag
from dbops.operations.vault.facts import Checked, Held, Seen, State
from dbops.operations.vault.plan import Reading, lacking, newest_first
from dbops.operations.vault.verify import Outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """One artifact in the list."""

    name: str
    store: str
    target: str
    kind: str
    instant: datetime
    age: timedelta
    state: State
    files: int
    size_bytes: int
    copies: tuple[str, ...]  # that hold all of it
    verified: Checked | None
    wrong: str | None


@dataclass(frozen=True, slots=True)
class CopyTold:
    """One second copy in the list."""

    name: str
    reached: bool
    artifacts: int
    lacking: int
    lag: timedelta | None  # for how long it has lacked them
    max_age: timedelta | None


@dataclass(frozen=True, slots=True)
class Listing:
    place: str
    artifacts: tuple[Entry, ...]
    size_bytes: int
    copies: tuple[CopyTold, ...]


@dataclass(frozen=True, slots=True)
class ShownTold:
    """One artifact, its whole manifest, and what verifications have said, newest first."""

    place: str
    artifact: Entry
    manifest: Manifest | None
    verified: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """What a verification would read."""

    place: str
    depth: str
    subset: str
    artifacts: tuple[Reading, ...]
    read_bytes: int


@dataclass(frozen=True, slots=True)
class VerifyTold:
    """What a verification found."""

    place: str
    depth: str
    subset: str
    verdict: Verdict
    artifacts: tuple[Outcome, ...]


TONES = {
    State.COMPLETE: Tone.GOOD,
    State.BUILDING: Tone.FAINT,
    State.ABANDONED: Tone.WARN,
    State.BROKEN: Tone.BAD,
    State.UNKNOWN: Tone.WARN,
}
VERDICTS = {Verdict.GOOD: Tone.GOOD, Verdict.BAD: Tone.BAD, Verdict.COULD_NOT_VERIFY: Tone.WARN}
_COLUMNS = (
    Column("artifact", shrinks=True),
    Column("age", right=True),
    Column("size", right=True),
    Column("state"),
    Column("copies", shrinks=True),
    Column("verified"),
)
_FILES = (
    Column("file", shrinks=True),
    Column("content", right=True),
    Column("stored", right=True),
    Column("count", right=True),
    Column("sha256 of the content"),
)
_HASH_SHOWN = 16


def listing(vault: Held, copies: Sequence[Held], now: datetime) -> Listing:
    complete = {one.place: {s.name for s in one.seen if s.state is State.COMPLETE} for one in copies}
    entries = tuple(
        entry(one, now, tuple(name for name, there in complete.items() if one.name in there))
        for one in newest_first(vault.seen)
    )
    told = tuple(
        CopyTold(
            one.place,
            one.failed is None,
            len(one.seen),
            len(lacking(vault, one)) if one.failed is None else 0,
            lag(vault, one, now),
            one.max_age,
        )
        for one in copies
    )
    return Listing(vault.place, entries, sum(one.size_bytes for one in entries), told)


def entry(one: Seen, now: datetime, copies: tuple[str, ...] = ()) -> Entry:
    return Entry(
        name=one.name,
        store=one.store,
        target=one.target,
        kind=one.kind,
        instant=one.instant,
        age=now - one.instant,
        state=one.state,
        files=one.files,
        size_bytes=one.size,
        copies=copies,
        verified=one.checked,
        wrong=one.wrong,
    )


def listing_screen(told: Listing) -> Screen:
    rows = tuple(_row(one) for one in told.artifacts)
    closing = Line(f"{told.place}: {units.counted(len(rows), 'artifact')}, {units.size(told.size_bytes)}", Tone.STRONG)
    return (*((Table(_COLUMNS, rows),) if rows else ()), closing, *(_copy(one) for one in told.copies))


def _row(one: Entry) -> tuple[Cell, ...]:
    verified = one.verified
    return (
        Cell(one.name),
        Cell(units.duration(one.age)),
        Cell(units.size(one.size_bytes)),
        Cell(one.state.value, TONES[one.state]),
        Cell(", ".join(one.copies) or "-"),
        Cell("never", Tone.FAINT) if verified is None else Cell(_briefly(verified), VERDICTS[verified.verdict]),
    )


def _briefly(one: Checked) -> str:
    return f"{one.verdict.value}, {one.depth}{f' {one.subset}' if one.subset else ''}"


def _copy(one: CopyTold) -> Line:
    if not one.reached:
        return Line(f"{one.name}: could not be looked at", Tone.BAD)
    behind = "" if one.lag is None else f" for {units.duration(one.lag)}"
    missing = f", lacks {one.lacking}{behind}" if one.lacking else ""
    return Line(f"{one.name}: {units.counted(one.artifacts, 'artifact')}{missing}", Tone.WARN if missing else Tone.GOOD)


def shown_screen(told: ShownTold) -> Iterator[Line | Table]:
    one = told.artifact
    yield Line(f"{told.place}: {one.name}", Tone.STRONG)
    size = f"{units.counted(one.files, 'file')}, {units.size(one.size_bytes)} stored"
    yield Line(f"{one.state.value}, {size}, {units.duration(one.age)} old", TONES[one.state])
    if told.manifest is not None:
        yield from _manifest(told.manifest)
    for checked in told.verified:
        yield Line(f"verified {units.instant(checked.at)}: {_briefly(checked)}", VERDICTS[checked.verdict])
    if not told.verified:
        yield Line("never verified", Tone.FAINT)


def _manifest(manifest: Manifest) -> Iterator[Line | Table]:
    yield Line(f"source: {manifest.subject.source}", indent=2)
    for field in fields(manifest):
        value = getattr(manifest, field.name)
        if field.name not in {"subject", "files", "records", "format"} and value not in (None, {}, ()):
            yield Line(f"{field.name.replace('_', ' ')}: {_text(value)}", indent=2)
    yield Table(_FILES, tuple(_file(file) for file in manifest.files))


def _text(value: Any) -> str:
    match plain(value):
        case dict():
            told = cast("dict[str, Any]", value)
            return ", ".join(f"{key} {inner}" for key, inner in told.items())
        case list():
            return ", ".join(str(inner) for inner in cast("tuple[Any, ...]", value))
        case told:
            return str(told)


def _file(file: File) -> tuple[Cell, ...]:
    records = "-" if file.count is None else str(file.count)
    sizes = (Cell(units.size(file.size)), Cell(units.size(file.stored_size)))
    return (Cell(file.stored), *sizes, Cell(records), Cell(file.sha256[:_HASH_SHOWN]))


def plan_screen(told: VerifyPlan) -> Iterator[Line]:
    for one in told.artifacts:
        yield Line(f"{one.name}: {units.counted(one.files, 'file')}, {units.size(one.read_bytes)}", indent=1)
    slice_ = "" if told.subset == "1/1" else f", slice {told.subset}"
    many = units.counted(len(told.artifacts), "artifact")
    yield Line(f"{told.place}: {many}, {units.size(told.read_bytes)} to be read ({told.depth}{slice_})", Tone.STRONG)


def verified_screen(told: VerifyTold) -> Iterator[Line]:
    for one in told.artifacts:
        read = f", {units.size(one.read_bytes)} read"
        yield Line(f"{one.name}: {one.verdict.value}, {units.counted(one.files, 'file')}{read}", VERDICTS[one.verdict])
    slice_ = "" if told.subset == "1/1" else f", slice {told.subset}"
    many = units.counted(len(told.artifacts), "artifact")
    yield Line(f"{told.place}: {many} verified ({told.depth}{slice_}): {told.verdict.value}", VERDICTS[told.verdict])
