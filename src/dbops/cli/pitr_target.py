"""How a moment is named on the command line: one of six ways, never two."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dbops.errors import UsageError

if TYPE_CHECKING:
    from dbops.config.model import Platform
    from dbops.operations.clusters.reach.facts import Target, Wanted

_PANEL = "The moment"
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_XID = re.compile(r"[0-9]{1,10}")
_LONGEST_NAME = 64

Cluster = Annotated[
    str | None, typer.Option("--target", "-t", metavar="NAME", help="The cluster; with one there is no question.")
]
At = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="ISO 8601 with its zone: 2026-08-01T14:59:59Z.", rich_help_panel=_PANEL),
]
Lsn = Annotated[str | None, typer.Option(metavar="X/Y", help="A position in the WAL.", rich_help_panel=_PANEL)]
Xid = Annotated[str | None, typer.Option(metavar="XID", help="A transaction.", rich_help_panel=_PANEL)]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="A restore point (pg_create_restore_point).", rich_help_panel=_PANEL)
]
Latest = Annotated[bool, typer.Option("--latest", help="The end of the archive.", rich_help_panel=_PANEL)]
Immediate = Annotated[bool, typer.Option("--immediate", help="The end of the backup itself.", rich_help_panel=_PANEL)]
Set = Annotated[
    str | None, typer.Option("--set", metavar="LABEL", help="Only from this backup set.", rich_help_panel=_PANEL)
]
Timeline = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="On this timeline, even an abandoned one.", rich_help_panel=_PANEL),
]
Exclusive = Annotated[
    bool, typer.Option("--exclusive", help="Stop before the transaction or position.", rich_help_panel=_PANEL)
]
Repo = Annotated[
    int | None, typer.Option("--repository", min=1, metavar="N", help="Only this one.", rich_help_panel=_PANEL)
]


def target_of(
    *,
    at: str | None,
    lsn: str | None,
    xid: str | None,
    name: str | None,
    latest: bool,
    immediate: bool,
    set_: str | None = None,
    timeline: int | None = None,
    exclusive: bool = False,
    repository: int | None = None,
    zone: str | None = None,
) -> "Target":
    """Read the one way that was used."""
    from dbops.operations.clusters.reach.facts import Target

    named: tuple[tuple[Wanted, str | bool | None], ...] = (
        ("at", at),
        ("lsn", lsn),
        ("xid", xid),
        ("name", name),
        ("latest", latest),
        ("immediate", immediate),
    )
    used: list[tuple[Wanted, str | bool | None]] = [(kind, value) for kind, value in named if value]
    if len(used) != 1:
        raise UsageError("say which moment: one of --at, --lsn, --xid, --name, --latest, --immediate")
    kind, value = used[0]
    _refuse_nonsense(kind, str(value), exclusive=exclusive)
    return Target(
        kind,
        at=_moment(at, zone) if at else None,
        value=value if isinstance(value, str) and kind != "at" else None,
        timeline=timeline,
        label=set_,
        exclusive=exclusive,
        repository=repository,
    )


def zone_of(platform: "Platform") -> str | None:
    """Return the zone that a time without an offset is in: only one that somebody wrote down."""
    return platform.zone if "zone" in platform.model_fields_set else None


def _moment(text: str, zone: str | None) -> datetime:
    from dbops.operations.clusters.reach.moment import read

    return read(text, zone)


def _refuse_nonsense(kind: str, value: str, *, exclusive: bool) -> None:
    """Refuse here what PostgreSQL would only tell after the restore."""
    if kind == "lsn" and not _LSN.fullmatch(value):
        raise UsageError(f"--lsn: {value!r} is no position such as 0/3000028")
    if kind == "xid" and (not _XID.fullmatch(value) or not 3 <= int(value) < 1 << 32):
        raise UsageError(f"--xid: {value!r} is no transaction such as 731")
    if kind == "name" and (len(value.encode()) >= _LONGEST_NAME or not value.isprintable()):
        raise UsageError(f"--name: {value!r} cannot be the name of a restore point")
    if exclusive and kind not in {"at", "lsn", "xid"}:
        raise UsageError(f"--exclusive goes with --at, --lsn and --xid, not with --{kind}")
