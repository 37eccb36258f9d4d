"""kill -9 anywhere in `pitr restore --in-place`: the next run finishes it, or the way back works; never a mixture."""

import json
import random
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

import pytest

from dbops.servers import alive

import in_place
from clustering import TARGET, Cluster, under_backup
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
        back = _ways_back(planned["findings"])
        if back and random.random() < 0.5:
            _await_leftovers(live)
            in_place.type_in(back[-1])
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


@pytest.mark.parametrize("broken", [True, False])
def test_one_that_was_finished_unseen_and_is_begun_again_can_still_be_undone(live: Cluster, *, broken: bool) -> None:
    then, at_it, now = accident(live)
    assert in_place.restore(live, "--at", then.isoformat()).code == 0  # nobody has read what it told
    live.keep("since")
    with _sets_hidden(live) if broken else nullcontext():
        again = in_place.restore(live, "--at", then.isoformat())
    assert (again.code != 0) == broken, again.err

    told = in_place.restore(live, "--at", then.isoformat(), "--plan", confirmed=False).told["findings"]
    assert [one["code"] for one in told] == (["DBB684", "DBB685"] if broken else ["DBB685", "DBB685"])
    if not broken:
        assert live.notes() == at_it
        assert _ways_back(again.told["findings"]) == _ways_back(told)[1:]
    in_place.type_in(_ways_back(told)[-1])
    assert live.notes() == now

    done = in_place.restore(live, "--at", then.isoformat())
    assert done.code == 0, done.err
    assert live.notes() == at_it


@contextmanager
def _sets_hidden(live: Cluster) -> Generator[None]:
    """Let a restore end when the old cluster is aside, and the new one is not there yet."""
    sets = [one for one in (live.repository / "backup" / TARGET).iterdir() if not one.is_symlink()]
    bundles = [one for each in sets for one in each.glob("bundle")]
    for one in bundles:
        one.rename(one.with_name("gone"))
    yield
    for one in bundles:
        one.with_name("gone").rename(one)


def _ways_back(findings: list[dict[str, str]]) -> list[list[str]]:
    """Read the ways back: that of the restore under way first, that of the one finished first last."""
    hints = [one["hint"] for one in findings if one["code"] in ("DBB684", "DBB685") and one["hint"]]
    return [hint.partition(": ")[2].split(" && ") for hint in hints]


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
