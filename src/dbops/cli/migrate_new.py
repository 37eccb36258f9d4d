"""`dbops migrate new`: write the revision that begins a change."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.options import AskedChange
from dbops.cli.screen import Line, Tone
from dbops.engine import clock
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dbops.operations.migrate.scaffold.facts import Wanted

_OF_CHANGE = "The change"
_OF_KIND = "What it is made of (each kind takes some of these)"


def _option(*names: str, metavar: str = "NAME", help: str, panel: str = _OF_KIND) -> typer.models.OptionInfo:
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel)


One = str | None
Some = list[str] | None


@dataclass(frozen=True, slots=True)
class KindTold:
    """A kind of change, and the options that it needs."""

    kind: str
    about: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    example: str


def verbs(app: typer.Typer) -> None:
    """Add the verb to its family."""
    command(
        app,
        "new",
        "dbops migrate new",
        "dbops migrate new rename-column --target agent_studio --table public.users --column display_name"
        ' --to full_name --change users-full-name --impact "both names work until January"',
    )(new)


def new(
    asked: AskedChange,
    kind: Annotated[One, typer.Argument(metavar="KIND", help="Without one, the kinds are listed.")] = None,
    *,
    target: Annotated[One, _option("--target", "-t", help="The database.", panel=_OF_CHANGE)] = None,
    name_of_change: Annotated[One, _option("--change", help="What it is called from now on.", panel=_OF_CHANGE)] = None,
    impact: Annotated[
        One, _option("--impact", metavar="TEXT", help="What it means for the application.", panel=_OF_CHANGE)
    ] = None,
    revision: Annotated[One, _option("--revision", metavar="ID", help="Else by the clock.", panel=_OF_CHANGE)] = None,
    table: Annotated[One, _option("--table", metavar="SCHEMA.NAME", help="The table.")] = None,
    column: Annotated[Some, _option("--column", help="A column (repeatable).")] = None,
    to: Annotated[Some, _option("--to", help="A new name (repeatable).")] = None,
    type: Annotated[One, _option("--type", metavar="SQL", help="Of the new column.")] = None,
    default: Annotated[One, _option("--default", metavar="SQL", help="Of the new column.")] = None,
    not_null: Annotated[bool, typer.Option("--not-null", help="Of the new column.", rich_help_panel=_OF_KIND)] = False,
    up: Annotated[Some, _option("--up", metavar="NEW=SQL", help="A new column, from the row r.")] = None,
    down: Annotated[Some, _option("--down", metavar="OLD=SQL", help="An old column, from the row r.")] = None,
    fill: Annotated[One, _option("--fill", metavar="SQL", help="For rows that have no value, from the row r.")] = None,
    name: Annotated[One, _option("--name", help="Of a constraint or an index.")] = None,
    definition: Annotated[One, _option("--definition", metavar="SQL", help="Of a constraint or an index.")] = None,
    value: Annotated[Some, _option("--value", metavar="VALUE", help="Of an enum; OLD=NEW (repeatable).")] = None,
    sql_up: Annotated[Some, _option("--sql-up", metavar="SQL", help="A statement (repeatable).")] = None,
    sql_down: Annotated[Some, _option("--sql-down", metavar="SQL", help="What takes it back.")] = None,
    on_complete: Annotated[Some, _option("--on-complete", metavar="SQL", help="When nobody needs the old.")] = None,
) -> Result:
    """Write a revision that begins a change, behind the head; for you to read, edit and commit. Takes no lock."""
    from dbops.operations.migrate.scaffold.facts import Wanted

    if kind is None:
        return _listed()
    wanted = Wanted(
        target=target or "",
        change=name_of_change or "",
        impact=impact or "",
        kind=kind,
        table=table or "",
        column=tuple(column or ()),
        to=tuple(to or ()),
        type=type,
        default=default,
        not_null=not_null,
        up=_pairs(up, "--up"),
        down=_pairs(down, "--down"),
        fill=fill,
        name=name,
        definition=definition,
        values=tuple(value or ()),
        sql_up=tuple(sql_up or ()),
        sql_down=tuple(sql_down or ()),
        on_complete=tuple(on_complete or ()),
    )
    return _written(asked, wanted, revision)


def _written(asked: AskedChange, wanted: "Wanted", revision: str | None) -> Result:
    from dbops.operations.migrate.scaffold import kinds, ready
    from dbops.stores import databases

    kinds.refuse_options(kinds.named(wanted.kind), wanted)
    loaded = asked.load()
    databases.targets(loaded.config, (wanted.target,))
    opening = partial(ready.new, loaded.config, loaded.path, wanted, now=clock.now(), revision=revision)
    result = change(
        asked,
        asked.run(loaded.state_dir),
        [Target(wanted.target, opening)],
        environment=loaded.config.platform.environment,
        may_lose_data=False,
    )
    return _told(result, asked, wanted.target)


def _told(result: Result, asked: AskedChange, target: str) -> Result:
    """Show the file as it is: it is Python, and to be read."""
    if result.exit_code != ExitCode.OK:
        return result
    lines: list[Line] = []
    for step in result.data.steps:
        lines.append(Line(step.summary, Tone.STRONG))
        lines += [Line(line) for text in step.sql for line in (text.splitlines() if asked.plan else ())]
    again = () if asked.plan else (f"dbops migrate up --target {target}{asked.where} --plan",)
    return replace(result, screen=tuple(lines), next_actions=again)


def _listed() -> Result:
    from dbops.operations.migrate.scaffold.kinds import KINDS, option

    told = [
        KindTold(k.name, k.about, tuple(map(option, k.needs)), tuple(map(option, k.takes)), k.example) for k in KINDS
    ]
    lines: list[Line] = []
    for one in told:
        lines += [Line(f"{one.kind}: {one.about}", Tone.STRONG), Line(one.example, Tone.FAINT, indent=4)]
    last = Line("each is typed as: dbops migrate new KIND --target NAME --change NAME --impact TEXT ...")
    return Result({"kinds": told}, (*lines, last))


def _pairs(told: list[str] | None, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in told or ():
        column, equals, expression = one.partition("=")
        if not equals or not column or not expression:
            raise UsageError(f"{option} {one!r} names no column", hint=f"{option} COLUMN=SQL")
        found[column] = expression
    return found
