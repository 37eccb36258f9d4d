"""A family whose plans are as risky as they are asked to be, behind the real door: `python tests/risky.py risky ...`.

Its world is a folder: one file a target, one line a step that was done.
"""

import os
import signal
import sys
import types
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dbops import cli, process

cli.FAMILIES["risky"] = "Plans of every risk, for tests."

from dbops.cli import door, flow  # noqa: E402  # the family has to be known first
from dbops.cli.options import Asked, AskedChange  # noqa: E402
from dbops.cli.screen import Cell, Column, Line, Table, Verbatim  # noqa: E402
from dbops.engine import locks, patience, stop  # noqa: E402
from dbops.engine.finding import Finding, Severity  # noqa: E402
from dbops.engine.plan import Plan, Ready, Risk, Step  # noqa: E402
from dbops.engine.run import Run  # noqa: E402
from dbops.errors import Refused  # noqa: E402

app = door.family("risky")
Targets = Annotated[list[str] | None, typer.Option("--target")]


def meet(pipe: Path) -> None:
    """Block until the test reads from a named pipe."""
    with pipe.open("w") as file:
        file.write("here")


@contextmanager
def opened(name: str, run: Run, *, world: Path, risk: Risk, steps: int, during: str) -> Generator[Ready[int]]:
    def body() -> Ready[int]:
        if name == "broken":
            raise Refused("this target is broken", hint="mend it", target=name)
        file = world / name
        done = file.read_text().splitlines() if file.exists() else []
        ids = [f"step {n}" for n in range(steps)]
        last = ids[-1] if ids else ""
        todo = [Step(i, f"do {i}", n, risk if i == last else Risk.SAFE) for n, i in enumerate(ids) if i not in done]
        return Ready(Plan(name, "be risky", tuple(todo)), partial(apply, file, during))

    if run.plan_only:
        yield body()
        return
    with locks.on_this_host(run, name, "risky"):
        yield body()


def apply(file: Path, during: str, step: Step[int]) -> None:
    with file.open("a") as world:
        world.write(f"{step.id}\n")
    match during:
        case "":
            return
        case "meet":  # say that the first step is running, then wait for leave to end it
            if step.action == 0:
                with stop.listening(lambda _: meet(file.with_name("told")) if file.name != "b" else None):
                    meet(file.with_name(f"{file.name}.started"))
                    with file.with_name("go").open() as pipe:
                        pipe.readline()
        case "fail":
            if step.action == 1:
                raise Refused("this step fails", target=file.name)
        case "busy":
            patience.patiently(
                _never, timed_out=(TimeoutError,), what="a step", target=file.name, ramp=patience.Ramp(attempts=1)
            )
        case _:
            process.run(["sh", "-c", during])


def _never(_: object) -> None:
    raise TimeoutError


@door.command(app, "change", "dbops risky change")
def change(  # noqa: PLR0917  # Typer gives them by name
    asked: AskedChange,
    world: Annotated[Path, typer.Option("--world")],
    target: Targets = None,
    risk: str = "SAFE",
    steps: int = 2,
    during: str = "",
    jobs: int = 1,
    keep_going: Annotated[bool, typer.Option("--keep-going")] = False,
) -> door.Result:
    """Change something, as riskily as asked."""
    opening = partial(opened, world=world, risk=Risk[risk], steps=steps, during=during)
    return flow.change(
        asked,
        asked.run(world / "state"),
        [flow.Target(name, partial(opening, name)) for name in target or ["audit"]],
        environment="test",
        jobs=jobs,
        keep_going=keep_going,
    )


@door.command(app, "fail", "dbops risky fail bug")
def fail(_asked: Asked, how: str) -> door.Result:
    """Fail in a way that nobody expected, or say something odd."""
    hostile = "a\x1b[31m\x9bb\nc\u202ed\udcffé🙂"
    match how:
        case "bug":
            secret = "hunter22"
            raise ValueError(f"password='{secret}' is no number")
        case "eof":
            raise EOFError
        case "epipe":
            raise BrokenPipeError
        case "memory":
            raise MemoryError
        case "exit":
            sys.exit(3)
        case "untyped":
            return door.Result({"what": object()})
        case "unprintable":
            return door.Result(
                {"names": [hostile]}, (Line(hostile), Table((Column("n"),), ((Cell(hostile),),)), Verbatim(hostile))
            )
        case "ignored":
            os.kill(os.getpid(), signal.SIGINT)
            return door.Result({"asked": stop.requested()}, (Line(f"asked: {stop.requested()}"),))
        case "ctrl-c":
            raise KeyboardInterrupt
        case _:
            severity = Severity(how)
            return door.Result(
                None, (), (Finding(severity, "odd", "audit", "something is odd", "look at it"),), ("dbops status",)
            )


if __name__ == "__main__":
    module = types.ModuleType("dbops.cli.risky")
    vars(module)["app"] = app
    sys.modules[module.__name__] = module
    cli.main()
