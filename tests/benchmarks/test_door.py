"""What the door costs: `dbops --help` beside an empty Typer program, on the same machine at the same time."""

import resource
import subprocess
import sys
from pathlib import Path

_EMPTY = """
import typer
app = typer.Typer(pretty_exceptions_enable=False)
@app.callback()
def nothing() -> None:
    "An empty program."
@app.command()
def verb() -> None:
    "It does nothing."
app()
"""
_RUNS = 20
_AT_MOST = 1.15


def cpu_seconds(*argv: str) -> float:
    """User and system time of one child: unlike wall time, it does not grow when the machine is busy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_costs_little_more_than_an_empty_program(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text(_EMPTY)
    pairs = [
        (
            cpu_seconds(sys.executable, str(empty), "--help"),
            cpu_seconds(str(Path(sys.executable).with_name("dbops")), "--help"),
        )
        for _ in range(_RUNS)
    ]

    bare, ours = (min(column) for column in zip(*pairs, strict=True))
    print(f"\n--help: {ours * 1000:.0f} ms, an empty program: {bare * 1000:.0f} ms, ratio {ours / bare:.2f}")
    assert ours / bare <= _AT_MOST
