"""A rehearsal on a scratch restore of the cluster's backup, through the installed program."""

from pathlib import Path

from conftest import Dbops
from dbops.operations.migrate.life import State

import changing
import contracting
import renaming
from clustering import Cluster, under_backup
from contracting import CHANGE, ask


def put_under_backup(live: changing.Example, cluster: Cluster) -> None:
    """Let the example's cluster be the one whose WAL is archived."""
    section = cluster.toml.read_text().partition("[cluster.main]\n")[2].partition("\n[")[0]
    own = [line for line in section.splitlines() if not line.startswith(("dsn", "password"))]
    admin = 'password = { file = "secrets/admin" }\n'
    live.toml.write_text(live.toml.read_text().replace(admin, admin + "\n".join(own) + "\n"))


def test_a_change_is_rehearsed_on_what_the_backup_brings_back(dbops: Dbops, folder: Path) -> None:
    (folder / "example").mkdir(mode=0o711)
    with under_backup(folder) as cluster, changing.example(cluster.conninfo, folder / "example") as live:
        put_under_backup(live, cluster)
        renaming.write(live)
        renaming.upgrade(live, "2026_01_01_0001")
        renaming.rows(live, 100)
        cluster.pgbackrest("backup", "--type=full")
        told = ask(dbops, live, "rehearse", CHANGE, "--from-backup", "--clients", "2")
        names = ["expand", "backfill", "verify", "switch", "contract"]
        assert [(one["name"], one["error"]) for one in told["data"]["phases"]] == [(name, None) for name in names]
        assert told["data"]["phases"][1]["rows"] == 100
        [proof] = contracting.entries(live, "rehearsed")
        assert (proof["ok"], "restore" in proof["copied"]) == (True, True)
        assert renaming.known(live).state is State.PLANNED
        left = [one for one in (live.folder / "state").rglob("*") if "scratch" in one.parts and one.suffix != ".lock"]
        assert [one for one in left if one.is_dir() and one.name != "scratch"] == []
