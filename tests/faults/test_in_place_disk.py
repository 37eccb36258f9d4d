"""A disk that is too small for two clusters: told before anything is touched, or gone on with once there is room."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import json, shutil, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from clustering import TARGET, under_backup
import in_place
from dbops.errors import DbopsError
from dbops.operations.clusters.restore.facts import Aim, Goal
from dbops.operations.clusters.restore.in_place_apply import Told
from dbops.operations.clusters.restore.in_place_ready import in_place as opened

disk, told = Path(sys.argv[1]), {}
with under_backup(disk) as live:
    live.keep("first")
    in_place.full(live)
    then = live.keep("second")
    live.keep("third")
    live.switch()
    at = ("--at", then.isoformat())

    filler = disk / "filler"

    def leave(megabytes):
        filler.write_bytes(bytes(shutil.disk_usage(disk).free - (megabytes << 20)))

    leave(40)
    refused = in_place.restore(live, *at)
    told["refused"] = [refused.code, refused.err, live.notes()]
    filler.unlink()

    text = then.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    label = in_place.labels(live)[-1]
    goal = Goal(Aim(label, "time", text, "1"), then.isoformat(), 1, 1)
    kept = Told()
    with opened(live.config, TARGET, live.run("pitr restore"), lambda _: goal, wanted=then.isoformat(), delta=False,
                told=kept) as ready:
        steps = list(ready.plan.steps)
        for step in steps:
            if step.id == "restore":
                leave(8)
                try:
                    ready.apply(step)
                except DbopsError as error:
                    told["full"] = [int(error.exit_code), error.message, error.hint]
                break
            ready.apply(step)
    filler.unlink()
    done = in_place.restore(live, *at)
    told["done"] = [done.code, done.err, live.notes()]
    in_place.type_in(done.found["way_back"])
    told["back"] = live.notes()
print("TOLD " + json.dumps(told))
"""
_SHARED = Path(__file__).parent.parent
_MEGABYTES = 280


def test_a_disk_that_is_full_stops_it_and_loses_nothing(folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir(mode=0o711)
    program = shlex.join([sys.executable, "-c", _PROGRAM, str(disk), str(_SHARED)])
    mount = f"mount -t tmpfs -o size={_MEGABYTES}m,mode=0711 none {shlex.quote(str(disk))}"
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    run = [*alone, "sh", "-ec", f"{mount}; {program}"]
    ended = subprocess.run(run, capture_output=True, text=True, timeout=200, check=False)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("TOLD ")]
    assert lines, ended.stderr
    told = json.loads(lines[0].removeprefix("TOLD "))

    code, said, notes = told["refused"]
    assert code == 9, said
    assert "are needed beside" in said
    assert notes == ["first", "second", "third"]
    code, said, hint = told["full"]
    assert code == 1
    assert "the disk is full" in said
    assert "run the same command again" in hint
    assert "go back: " in hint
    code, said, notes = told["done"]
    assert code == 0, said
    assert notes == ["first", "second"]
    assert told["back"] == ["first", "second", "third"]
