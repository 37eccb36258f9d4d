"""Kills that are cheap enough to do many: dbops forked from a process that has imported it already."""

import json
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    code: int
    killed: bool
    seconds: float
    out: str
    err: str


class Zygote:
    """Runs dbops, to its end or until it is killed."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(self, *argv: str | Path, kill_after: float | None = None) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request: dict[str, object] = {
            "argv": [str(word) for word in argv],
            "kill_after": kill_after,
            "cwd": str(self._folder),
            "env": {},
            "out": str(self._folder / "out"),
            "err": str(self._folder / "err"),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def finished(self, *argv: str | Path) -> Ended:
        """Run to the end, which must be good."""
        ended = self.run(*argv)
        assert ended.code == 0, f"{argv} exited {ended.code}:\n{ended.out}\n{ended.err}"
        return ended


def kills(whole: int) -> int:
    """How many kills a test does: the whole number, or as few as DBOPS_KILLS allows where time is short."""
    return min(whole, int(os.environ.get("DBOPS_KILLS", whole)))


def moment(clean_seconds: float) -> float:
    """A random moment of a run that takes `clean_seconds`: early, for each run of a chain gets further by itself."""
    return random.uniform(0.0, 0.6 * clean_seconds)
