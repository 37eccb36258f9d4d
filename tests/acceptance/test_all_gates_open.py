"""A contraction whose gates are all open: nobody has to override anything, and a restore point is named before."""

from pathlib import Path
from typing import Any

from conftest import Dbops
from dbops.operations.migrate import checksum, figures, record
from dbops.operations.migrate.life import State

import changing
import contracting
import renaming
from clustering import Cluster, under_backup
from contracting import CHANGE, ask, evidence, gates

_COUNTING = (("shared_preload_libraries", "pg_stat_statements"),)


def put_under_backup(live: changing.Example, cluster: Cluster) -> None:
    """Let the example's cluster be the one whose WAL is archived."""
    section = cluster.toml.read_text().partition("[cluster.main]\n")[2].partition("\n[")[0]
    own = [line for line in section.splitlines() if not line.startswith(("dsn", "password"))]
    admin = 'password = { file = "secrets/admin" }\n'
    live.toml.write_text(live.toml.read_text().replace(admin, admin + "\n".join(own) + "\n"))


def rehearsed(live: changing.Example) -> None:
    """Write what a rehearsal leaves."""
    change = renaming.observed(live)
    assert change.shape is not None
    revision = f"{renaming.EXPAND}_contract"
    phase: dict[str, Any] = {
        "name": figures.rehearsed_as("contract"),
        "failed": None,
        "predicted_ms": 40,
        "statements": [],
    }
    told: dict[str, Any] = {"plan": checksum.of(CHANGE, change.shape), "ok": True, "took_ms": 900, "phases": [phase]}
    told["revisions"] = {revision: 40}
    with live.connect() as connection:
        where = {"target": changing.TARGET, "change": CHANGE}
        record.prove(connection, live.run(), **where, kind="rehearsed", evidence=told)


def test_with_all_evidence_nothing_has_to_be_overridden(dbops: Dbops, folder: Path) -> None:
    (folder / "example").mkdir(mode=0o711)
    with (
        under_backup(folder, settings=_COUNTING) as cluster,
        changing.example(cluster.conninfo, folder / "example") as live,
    ):
        put_under_backup(live, cluster)
        contracting.configure(live, "soak = '0s'", "old_clients = []")
        contracting.switched(live)
        rehearsed(live)
        contracting.alone(live)
        none = ask(dbops, live, "contract", CHANGE, "--write", code=9)
        assert {name: passed for name, passed in gates(none).items() if passed != "yes"} == {"backup": "no"}
        assert evidence(none)["backup"] == "there is no backup"
        cluster.pgbackrest("backup", "--type=full")
        told = ask(dbops, live, "contract", CHANGE, "--write")
        assert gates(told) == dict.fromkeys(contracting.GATES, "yes")
        contracting.alone(live)
        done = ask(dbops, live, "contract", CHANGE, "--yes")
        assert [step["id"] for step in done["data"]["steps"]][:2] == ["restore point", "leave"]
        assert done["findings"] == []
        [leave] = contracting.entries(live, "leave")
        assert "/" in leave["restore_point"]
        assert contracting.entries(live, "override") == []
        assert renaming.known(live).state is State.CONTRACTED
        said = [one["said"] for one in ask(dbops, live, "history")["data"]["changes"]]
        assert said[-1].endswith(", 40 ms were predicted")
