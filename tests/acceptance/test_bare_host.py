"""The host is gone: repository, vault and named secrets bring the cluster back, by the lines of the runbook."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from dbops.servers import account, postgres

from bare_cluster import PASSWORD, TARGET, Bare, bare

Dbops = Callable[..., CompletedProcess[str]]

_PASS = "a pass = of the repository"
_RUNBOOK = Path(__file__).parents[2] / "runbooks" / "recover-from-nothing.md"


@dataclass(frozen=True)
class World:
    """All that a platform is: the host, and what outlives it."""

    live: Bare
    outside: Path  # repository, vault, secrets

    @property
    def host(self) -> Path:
        return self.live.folder

    @property
    def space(self) -> Path:
        return self.host / "space"


@pytest.fixture
def world(folder: Path) -> Generator[World]:
    """An encrypted repository, a vault and two secrets lie outside of the host that has the cluster."""
    host, outside = account.make_folder(folder / "host", 0o711), account.make_folder(folder / "outside", 0o711)
    for name, secret in (("pass", _PASS), ("superuser", PASSWORD)):
        account.write_file(outside / name, secret)
    (outside / "vault").mkdir()
    repository = {"path": str(outside / "repo"), "cipher": {"file": str(outside / "pass")}}
    own: dict[str, Any] = {
        "password": {"file": str(outside / "superuser")},
        "data_directory": str(host / "postgres" / "data"),
        "run_as": account.name(),
        "repository": {"1": repository},
    }
    with bare(host, **own) as live:
        with live.toml.open("a", encoding="utf-8") as file:
            file.write(f'[vault]\nurl = "file://{outside}/vault"\n[roles.shop]\nlogin = true\n')
        yield World(live, outside)


def tell(done: CompletedProcess[str], *codes: int) -> Any:
    assert done.returncode in (codes or (0,)), done.stdout + done.stderr
    return json.loads(done.stdout)


def fill(world: World) -> None:
    account.make_folder(world.space)
    with world.live.connect() as connection:
        connection.execute(f"CREATE TABLESPACE elsewhere LOCATION '{world.space}'".encode())
        connection.execute("CREATE TABLE spaced (n int) TABLESPACE elsewhere; INSERT INTO spaced VALUES (7)")
        connection.execute("CREATE TABLE kept (note text); INSERT INTO kept VALUES ('before the backup')")
        connection.execute("CREATE ROLE shop LOGIN PASSWORD 'of the shop'; GRANT SELECT ON kept TO shop")
        connection.execute("ALTER SYSTEM SET work_mem = '5MB'")
        connection.execute("SELECT pg_reload_conf()")


def keep_one_more(world: World) -> None:
    """Commit a row that is in no backup, and see its segment archived."""
    with world.live.connect() as connection:
        connection.execute("INSERT INTO kept VALUES ('after the backup')")
        row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        while connection.execute("SELECT last_archived_wal >= %s FROM pg_stat_archiver", row).fetchone() != (True,):
            connection.execute("SELECT pg_sleep(0.02)")


def lose_the_host(world: World) -> None:
    """Nothing of it stays: no data, tablespace, configuration, state, dbops.toml."""
    postgres.stop(world.live.server)
    shutil.rmtree(world.host)
    account.make_folder(world.host, 0o711)


def lines_of_the_runbook() -> list[str]:
    return re.findall(r"^ +\$ (.+)$", _RUNBOOK.read_text(), re.MULTILINE)


def type_in(line: str, at: Path, world: World, name: str = "") -> str:
    """Type a line of the runbook, with the places and the moment of this test."""
    real = line.replace("20260801T020000.000Z-configuration", name).replace("/tmp/main", str(at / "main"))
    real = real.replace("/mnt/vault", str(world.outside / "vault")).replace("recovery.toml", str(at / "recovery.toml"))
    config = str(at / "recovery.toml" if "recovery.toml" in line else world.live.toml)
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(at), "DBOPS_CONFIG": config}
    done = subprocess.run(["sh", "-ec", real], capture_output=True, text=True, timeout=90, check=False, cwd=at, env=env)
    # no server runs yet when the window is asked for: the RPO of now cannot be told
    expected = (0, 3) if line.startswith("dbops pitr window") else (0,)
    assert done.returncode in expected, f"{real}\n{done.stdout}{done.stderr}"
    return done.stdout


def put_back(world: World, facts: dict[str, Any], taken: Path) -> None:
    """Put everything where it was (step 4)."""
    live = world.live
    for old in (live.conf, live.include, live.toml):
        kept = taken / str(old).lstrip("/")
        if kept.exists():
            text = kept.read_text().replace("repo1-cipher-pass=***", f"repo1-cipher-pass={_PASS}")
            for folder in reversed(old.relative_to(world.host).parents):
                account.make_folder(world.host / folder, 0o711 if str(folder) == "." else 0o750)
            account.write_file(old, text, 0o640)
    for name in ("log", "lock", "spool"):
        account.make_folder(live.conf.parent / name)
    for one in facts["tablespaces"]:
        account.make_folder(Path(one["location"]))
    data = Path(facts["server"]["data_directory"])
    account.make_folder(data.parent)
    account.make_folder(data.parent / "run")


def test_the_runbooks_lines_bring_a_cluster_back_whose_host_is_gone(dbops: Dbops, world: World, folder: Path) -> None:
    live, at = world.live, account.make_folder(folder / "at", 0o711)
    asked = ("--config", live.toml, "--target", TARGET, "--output", "json")
    tell(dbops("backup", "init", "--restart", "--yes", *asked))
    fill(world)
    [taken] = tell(dbops("backup", "run", *asked))["data"]["backups"]
    keep_one_more(world)
    before = {name: (live.server.data / name).read_bytes() for name in ("postgresql.conf", "pg_hba.conf", "dbops.conf")}
    lose_the_host(world)

    (at / "recovery.toml").write_text(
        f'[platform]\nname = "recovery"\nstate_dir = "{at}/state"\n[vault]\nurl = "file://{world.outside}/vault"\n'
    )
    name = taken["configuration"].rpartition("/")[2]
    typed = {line: type_in(line, at, world, name) for line in lines_of_the_runbook() if "recovery.toml" in line}
    typed |= {
        line: type_in(line, at, world, name) for line in lines_of_the_runbook() if "/tmp/main" in line or "zstd" in line
    }
    assert name in "".join(typed.values())
    facts, secrets = (
        json.loads(next(told for line, told in typed.items() if part in line))
        for part in ("facts.json", "secrets.json")
    )
    references = {one["reference"] for one in secrets}
    assert references == {f"file {world.outside}/{secret}" for secret in ("pass", "superuser")}
    assert _PASS.encode() not in b"".join(path.read_bytes() for path in at.rglob("*") if path.is_file())
    put_back(world, facts, at / "main")
    for line in lines_of_the_runbook():
        if line not in typed:
            type_in(line, at, world)

    assert_as_before(world)
    assert before == {name: (live.server.data / name).read_bytes() for name in before}
    live.restart()  # by somebody who does not know the pass
    keep_one_more(world)
    tell(dbops("backup", "audit", *asked))


def assert_as_before(world: World) -> None:
    with world.live.connect() as connection:
        kept = connection.execute("SELECT note FROM kept").fetchall()
        assert kept == [("before the backup",), ("after the backup",)]
        assert connection.execute("SELECT n FROM spaced").fetchall() == [(7,)]
        assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
        location = connection.execute(
            "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'elsewhere'"
        )
        assert location.fetchone() == (str(world.space),)
    with psycopg.connect(postgres.conninfo(world.live.server, user="shop", password="of the shop")) as connection:
        assert len(connection.execute("SELECT FROM kept").fetchall()) == 2
