"""What runs or is named is never restored into, whatever it is disguised as."""

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dbops.config.load import load
from dbops.errors import Refused
from dbops.operations.clusters.restore.guarding import refuse_production
from dbops.servers import postgres

_PROGRAM = """
import sys
from pathlib import Path
from dbops.config.load import load
from dbops.errors import Refused
from dbops.operations.clusters.restore.guarding import refuse_production
try:
    refuse_production(load(Path(sys.argv[1])).config, Path(sys.argv[2]), target="main")
except Refused as error:
    print(error.message)
"""


@pytest.fixture
def place(folder: Path) -> Path:
    """A configuration that names a data directory, a repository, a vault, another stanza and another host."""
    for name in ("data/base", "repo/archive", "vault", "others", "run", "free"):
        (folder / name).mkdir(parents=True)
    conf = folder / "pgbackrest.conf"
    conf.write_text(
        f"[global]\nrepo1-path={folder}/repo\n[main]\npg1-path={folder}/data\n[neighbour]\npg1-path={folder}/others\n"
    )
    lines = [
        *("[platform]", 'name = "test"', f'state_dir = "{folder}/state"'),
        *("[cluster.main]", f'dsn = "host={folder}/run"', 'stanza = "main"', f'pgbackrest_config = "{conf}"'),
        *("[vault]", f'url = "file://{folder}/vault"'),
    ]
    (folder / "dbops.toml").write_text("\n".join(lines) + "\n")
    return folder


def refused(place: Path, path: Path) -> str:
    with pytest.raises(Refused) as told:
        refuse_production(load(place / "dbops.toml").config, path, target="main")
    return told.value.message


def allowed(place: Path, path: Path) -> None:
    refuse_production(load(place / "dbops.toml").config, path, target="main")


def test_a_new_folder_is_nobodys(place: Path) -> None:
    allowed(place, place / "free")
    allowed(place, place / "new" / "folder")
    allowed(place, place / "database")  # begins like the name of another


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("data", "is"),
        ("data/base/new", "lies in"),
        (".", "contains"),
        ("new/../data", "is"),
        ("others", "the data directory of stanza neighbour"),
        ("repo/archive", "repository"),
        ("vault/postgres", "a place of artifacts"),
        ("run", "where the socket of main is"),
    ],
)
def test_what_is_named_is_refused_and_so_is_what_is_in_it_and_around_it(place: Path, path: str, told: str) -> None:
    assert told in refused(place, place / path)


def test_a_link_leads_to_the_same_files(place: Path) -> None:
    (place / "link").symlink_to(place / "data")
    (place / "up").symlink_to(place)
    assert "is" in refused(place, place / "link")
    assert "lies in" in refused(place, place / "up" / "data" / "new")


def test_a_data_directory_that_is_a_link_itself_is_seen_through(place: Path) -> None:
    (place / "data").rename(place / "elsewhere")
    (place / "data").symlink_to(place / "elsewhere")
    assert "the data directory of main" in refused(place, place / "elsewhere")


def test_wal_and_tablespaces_that_lie_elsewhere_belong_to_it(place: Path) -> None:
    for name in ("wal", "space"):
        (place / name).mkdir()
    (place / "data" / "pg_wal").symlink_to(place / "wal")
    (place / "data" / "pg_tblspc").mkdir()
    (place / "data" / "pg_tblspc" / "16400").symlink_to(place / "space")
    assert "the pg_wal of main" in refused(place, place / "wal")
    assert "tablespace 16400 of main" in refused(place, place / "space" / "PG_15")


def in_its_own_mounts(*commands: str) -> str:
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    done = subprocess.run([*alone, "sh", "-ec", "\n".join(commands)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("bound", "path", "told"),
    [
        ("data", "free", "is"),
        ("data", "free/new", "lies in"),
        ("data/base", "free", "lies in"),  # neither it nor what is above it has the same identity
        (".", "free/data", "is"),
        ("data", "free/base/new", "lies in"),
    ],
)
def test_a_bind_mount_leads_to_the_same_files(place: Path, bound: str, path: str, told: str) -> None:
    program = [sys.executable, "-c", _PROGRAM, str(place / "dbops.toml"), str(place / path)]
    mount = f"mount --bind {shlex.quote(str(place / bound))} {shlex.quote(str(place / 'free'))}"
    said = in_its_own_mounts(mount, shlex.join(program))
    assert f" {told} " in said
    assert "the data directory of" in said


def test_another_host_name_of_the_same_cluster_protects_it_too(place: Path) -> None:
    (place / "third").mkdir()
    with (place / "dbops.toml").open("a") as file:
        file.write(
            f'[cluster.again]\ndsn = "host=db.example.org"\ndata_directory = {json.dumps(str(place / "third"))}\n'
        )
    assert "the data directory of again" in refused(place, place / "third")


def test_a_folder_where_somebody_listens_is_in_use(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place / "free" / ".s.PGSQL.5432"))
        listening.listen()
        assert "listens" in refused(place, place / "free")
        allowed(place, place / "free" / "below")  # as below /tmp


def test_a_server_that_nobody_named_is_found_by_where_it_works(place: Path) -> None:
    with postgres.running(postgres.Server(place / "unknown", durable=False), "secret") as server:
        (place / "link").symlink_to(server.data)
        for path in (server.data, place / "link", server.data / "base" / "x", server.home):
            assert "where a server of PostgreSQL runs" in refused(place, path)
        postgres.stop(server)
        assert "a data directory of PostgreSQL" in refused(place, server.data / "base" / "x")
        allowed(place, place / "unknown2")


def test_a_server_that_is_just_being_started_protects_what_it_was_given_and_not_where_it_was_started(
    place: Path,
) -> None:
    argv = ["postgres", "-c", "import time; print('up', flush=True); time.sleep(600)", "-D", str(place / "free")]
    with subprocess.Popen(argv, executable=sys.executable, cwd="/", stdout=subprocess.PIPE) as starting:
        assert starting.stdout is not None
        try:
            assert starting.stdout.readline() == b"up\n"
            assert f"is starting (pid {starting.pid})" in refused(place, place / "free")
            allowed(place, place / "elsewhere")
        finally:
            starting.kill()


def test_a_pid_file_is_taken_at_its_word(place: Path) -> None:
    (place / "free" / "postmaster.pid").write_text("1\n")  # of a container that we do not see into
    assert "postmaster.pid" in refused(place, place / "free")
