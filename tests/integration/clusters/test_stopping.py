"""A look that somebody does not want any more ends as stopped, also when nothing is left to be read."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import fresh

import clustering
from clustering import Cluster

# A signal comes to the installed program at a certain place, and nowhere else.
_INTERRUPTED = """
import os, signal, sys
from importlib import import_module
from dbops.cli import main
where, name, *words = sys.argv[1:]
module = import_module(where)
real = getattr(module, name)
def interrupted(*given, **named):
    os.kill(os.getpid(), signal.SIGTERM)
    return real(*given, **named)
setattr(module, name, interrupted)
main(words)
"""
_WAY = ("dbops.operations.clusters.reach.choose", "options")


@pytest.fixture(scope="module")
def live(base: Path) -> Generator[Cluster]:
    folder = fresh(base, "stopping")
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as made:
        made.keep("zero")
        made.pgbackrest("backup", "--type=full", "--no-expire-auto")
        made.keep("one")
        made.switch()
        yield made


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (("dbops.operations.clusters.reach.check", "check"), ("window",)),
        (_WAY, ("plan", "--latest")),
        (_WAY, ("restore", "--latest", "--plan")),
    ],
)
def test_a_signal_after_the_last_segment_was_read_is_not_forgotten(
    live: Cluster, where: tuple[str, str], words: tuple[str, ...]
) -> None:
    argv = [sys.executable, "-c", _INTERRUPTED, *where, "pitr", *words, "--config", str(live.toml)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (143, ""), done.stderr
    assert "stopped" in done.stderr
