"""kill -9 anywhere in `pitr restore --in-place`: the next run finishes it, or the way back works; never a mixture."""

import json
import random
import shutil
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path

import pytest

import in_place
from clustering import TARGET, Cluster, under_backup
from dbops.servers import alive

from killing import Zygote, kills

_CHAIN = 3


@pytest.fixture
def live(folder: Path) -> Generator[Cluster]:
    with under_backup(folder) as cluster:
        cluster.keep("first")
        in_place.full(cluster)
        yield cluster
        in_place.stop(cluster)


def accident(live: Cluster) -> tuple[datetime, list[str], list[str]]:
    """Commit rows before and after a moment; return it, and what is there at it and now."""
    then = live.keep(f"before {random.random()}")
    at_it = live.notes()
    live.keep(f"after {random.random()}")
    live.switch()
    live.keep(f"not archived {random.random()}")
    return then, at_it, live.notes()


def test_killed_restores_are_finished_or_undone(
    live: Cluster, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    done, undone, finished = 0, 0, 0
    then, at_it, _ = accident(live)
    words = ("pitr", "restore", "--in-place", "--config", live.toml, "--output", "json")
    clean = zygote.finished(*words, "--confirm", TARGET, "--at", then.isoformat()).seconds
    assert live.notes() == at_it
    while done < kills(20):
        _forget(live)
        then, at_it, now = accident(live)
        restore = (*words, "--at", then.isoformat())
        killed = True
        for _ in range(_CHAIN):
            ended = zygote.run(*restore, "--confirm", TARGET, kill_after=random.uniform(0.2, 0.8) * clean)
            assert ended.killed or ended.code == 0, ended.err
            killed = ended.killed
            done += killed
            if not killed:
                break
        planned = json.loads(zygote.finished(*restore, "--plan").out)
        hints = [one["hint"] for one in planned["findings"] if one["code"] == "DBB684" and one["hint"]]
        if hints and random.random() < 0.5:
            _await_leftovers(live)
            in_place.type_in(hints[0].removeprefix("or go back: ").split(" && "))
            assert live.notes() == now
            undone += 1
        elif killed:
            zygote.finished(*restore, "--confirm", TARGET)
            assert live.notes() == at_it
            finished += 1
        else:
            assert live.notes() == at_it
        live.pgbackrest("check")
    record_property("kills", f"pitr restore --in-place: {done} kills, {finished} gone on with, {undone} undone")


def _await_leftovers(live: Cluster) -> None:
    """Let what a killed run has started notice that it is dead, as somebody who types lines would."""

    def restores(argv: alive.Argv) -> bool:
        return argv[0].endswith("pgbackrest") and str(live.folder) in " ".join(argv) and argv[-1] != "archive-push"

    alive.await_end(alive.serving(restores), 30)


def _forget(live: Cluster) -> None:
    """Remove what lies aside, as the runbook says once nobody needs it; and back up what is there now."""
    for one in live.server.home.glob("data.*-2*"):
        shutil.rmtree(one)
    (live.folder / "state" / "in-place" / f"{TARGET}.json").unlink(missing_ok=True)
    in_place.full(live)
