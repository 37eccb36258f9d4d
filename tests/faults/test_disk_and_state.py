"""Full disks and state directories that cannot be written: nothing is changed, nothing is lost, and it is told."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Dbops = Callable[..., CompletedProcess[str]]

_ROLES = """
[roles.newcomer]
comment = "made by a test"
"""


def configured(platform: Path, folder: Path, state: Path, extra: str = "") -> Path:
    """Write the platform's configuration anew, with another state directory."""
    lines = (platform / "dbops.toml").read_text().splitlines()
    lines = [f"state_dir = {json.dumps(str(state))}" if line.startswith("state_dir") else line for line in lines]
    (folder / "dbops.toml").write_text("\n".join(lines) + extra)
    return folder / "dbops.toml"


def test_a_state_directory_that_cannot_be_written_stops_a_change_before_it_begins(
    dbops: Dbops, platform: Path, folder: Path
) -> None:
    (folder / "file").write_text("not a folder")
    config = configured(platform, folder, folder / "file" / "state", _ROLES)
    done = dbops("roles", "apply", "--yes", "--target", "main", "--config", config)
    assert done.returncode == 9, done.stderr
    assert "nothing was changed" in done.stderr
    assert "Traceback" not in done.stderr
    planned = dbops("roles", "plan", "--target", "main", "--config", config, "--output", "json")
    assert any("newcomer" in step["summary"] for step in json.loads(planned.stdout)["data"]["steps"])


def test_what_only_looks_needs_no_state_directory(dbops: Dbops, platform: Path, folder: Path) -> None:
    (folder / "file").write_text("not a folder")
    config = configured(platform, folder, folder / "file" / "state")
    assert dbops("status", "--config", config).returncode == 0


@pytest.mark.parametrize("kilobytes", [4, 8, 16])
def test_a_disk_that_fills_up_under_the_journal_stops_the_run_and_the_next_one_finishes(
    dbops: Dbops, platform: Path, folder: Path, kilobytes: int
) -> None:
    """The state directory lies on a file system of a few pages, in a mount namespace of the test's own."""
    disk = folder / "disk"
    disk.mkdir()
    roles = "".join(f'\n[roles."full_{kilobytes}_{n}"]\ncomment = "{"x" * 60}"\n' for n in range(40))
    config = configured(platform, folder, disk / "state", roles)
    program = shlex.join([str(Path(sys.executable).with_name("dbops")), "roles", "apply", "--yes", "--target", "main"])
    script = f"mount -t tmpfs -o size={kilobytes}k none {shlex.quote(str(disk))} && exec {program}"
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c", script]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "DBOPS_CONFIG": str(config)}
    done = subprocess.run(alone, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {1, 9}, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    finished = dbops("roles", "apply", "--yes", "--target", "main", "--config", config)
    assert finished.returncode == 0, finished.stderr
    again = dbops("roles", "plan", "--target", "main", "--config", config, "--output", "json")
    assert json.loads(again.stdout)["data"]["steps"] == []
