"""What tests of a restore in place share: clusters that are spread over several folders, and the way back."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbops.servers import account, postgres

from clustering import TARGET, Cluster

PROGRAM = str(Path(sys.executable).with_name("dbops"))


@dataclass(frozen=True)
class Done:
    code: int
    told: dict[str, Any]
    err: str

    @property
    def found(self) -> dict[str, Any]:
        return self.told["data"]["in_place"][0]

    @property
    def codes(self) -> list[str]:
        return [one["code"] for one in self.told["findings"]]


def restore(live: Cluster, *words: str, confirmed: bool = True) -> Done:
    """Run `pitr restore --in-place` as the installed program."""
    agreed = ("--confirm", TARGET) if confirmed else ()
    argv = [PROGRAM, "pitr", "restore", "--in-place", "--config", str(live.toml), "--output", "json", *agreed, *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=live.folder)
    return Done(done.returncode, json.loads(done.stdout), done.stderr)


def full(live: Cluster) -> None:
    live.pgbackrest("backup", "--type=full", "--no-expire-auto")


def type_in(lines: Sequence[str]) -> None:
    """Type command lines into a shell, as an operator would."""
    assert lines
    for line in lines:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False, cwd="/")
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def folder_of_account(path: Path) -> Path:
    return account.make_folder(path)


def stop(live: Cluster) -> None:
    """End the server, also one that was started in another way than ours."""
    postgres.stop(live.server)


def labels(live: Cluster) -> list[str]:
    told = json.loads(live.pgbackrest("info", "--output=json").out)
    return [one["label"] for stanza in told for one in stanza["backup"]]
