"""Many jobs write one metrics file at once, and some are killed: no series is lost, and no reader sees half a file."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from dbops.engine import clock, metrics
from dbops.engine.ending import Ending
from dbops.engine.metrics import Report

from killing import kills
from shell import RISKY

JOBS = 20
STATUS = "dbops_last_status"


def report(target: str) -> Report:
    return Report("status", clock.now(), (Ending(target, 0, timedelta(seconds=1)),))


def targets(text: str) -> set[str]:
    return {dict(labels)["target"] for labels in metrics.parse(text).samples.get(STATUS, {})}


@contextmanager
def watched(file: Path) -> Generator[list[str]]:
    """Read the file again and again, as a collector does, and note what is not a whole file."""
    wrong: list[str] = []
    over = threading.Event()

    def read() -> None:
        known: set[str] = set()
        while not over.is_set():
            text = file.read_text()
            seen = targets(text)
            if not text.endswith("# EOF\n") or not known <= seen:
                wrong.append(text)
            known = seen

    assert metrics.write(file, report("first")) == ()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield wrong
    finally:
        over.set()
        reader.join()


def test_jobs_that_end_at_the_same_time_keep_each_others_series(folder: Path) -> None:
    file, go = folder / "dbops.prom", folder / "go"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "DBOPS_METRICS_FILE": str(file)}
    argv = [
        *RISKY,
        "change",
        "--world",
        str(folder),
        "--steps",
        "1",
        "--during",
        f"until [ -e {go} ]; do sleep 0.1; done",
    ]
    with watched(file) as wrong:
        jobs = [
            subprocess.Popen([*argv, "--target", f"t{n}"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for n in range(JOBS)
        ]
        while sum((folder / f"t{n}").exists() for n in range(JOBS)) < JOBS:
            assert all(job.poll() is None for job in jobs)
            time.sleep(0.05)
        go.touch()
        said = [job.communicate(timeout=120)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * JOBS
    assert said == [b""] * JOBS
    assert targets(file.read_text()) == {"first", "", *(f"t{n}" for n in range(JOBS))}
    assert wrong == []


def test_a_writer_that_is_killed_at_any_moment_costs_nobody_a_series(folder: Path) -> None:
    file = folder / "dbops.prom"
    count = kills(100)
    with watched(file) as wrong:
        for n in range(count):
            assert metrics.write(file, report(f"t{n}")) == ()
            child = os.fork()
            if child == 0:
                while True:
                    metrics.write(file, report("killed"))
            time.sleep(random.uniform(0.0, 0.01))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert metrics.write(file, report("last")) == ()
    assert targets(file.read_text()) - {"killed"} == {"first", "last", *(f"t{n}" for n in range(count))}
    assert wrong == []
    assert [path.name for path in folder.iterdir()] == ["dbops.prom"]
