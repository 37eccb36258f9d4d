"""How a moment is named on the command line: one of six ways, never two."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dbops.errors import UsageError

if TYPE_CHECKING:
    from dbops.operations.clusters.reach.facts import Target, Wanted

_PANEL = "The moment"

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
    return Target(
        kind,
        at=_moment(at) if at else None,
        value=value if isinstance(value, str) and kind != "at" else None,
        timeline=timeline,
        label=set_,
        exclusive=exclusive,
        repository=repository,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at: {text!r} is no moment such as 2026-08-01T14:59:59Z") from None
    if moment.tzinfo is None:
        raise UsageError(
            f"--at: {text!r} has no zone, and may mean several moments", hint="add Z for UTC, or an offset: +02:00"
        )
    return moment
