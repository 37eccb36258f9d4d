"""`dbops status`, through the installed program, against a whole platform and against what is broken."""

import json
import socket
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from dbops.sandbox.facts import DATABASES

Dbops = Callable[..., CompletedProcess[str]]
TARGETS = ["main", *DATABASES, "cache", "workflows", "search", "vault"]


def targets(done: CompletedProcess[str]) -> dict[str, Any]:
    return {one["target"]: one for one in json.loads(done.stdout)["data"]["targets"]}


@pytest.fixture
def changed(platform: Path, folder: Path) -> Callable[..., Path]:
    """Write the platform's configuration anew, with something replaced in it."""

    def write(*replacements: tuple[str, str]) -> Path:
        text = (platform / "dbops.toml").read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (folder / "changed.toml").write_text(text)
        return folder / "changed.toml"

    return write


def test_a_fresh_platform_is_well(dbops: Dbops, platform: Path) -> None:
    done = dbops("status", "--config", platform / "dbops.toml")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"{len(TARGETS)} of {len(TARGETS)} targets answer" in done.stdout
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 100
    for name in TARGETS:
        assert f"\n{name} " in f"\n{done.stdout}"


def test_the_same_facts_are_there_as_json(dbops: Dbops, platform: Path) -> None:
    done = dbops("status", "--config", platform / "dbops.toml", "--output", "json")
    told = json.loads(done.stdout)
    assert (told["ok"], told["exit_code"], told["command"], told["findings"]) == (True, 0, "status", [])
    found = targets(done)
    assert list(found) == TARGETS
    assert found["main"]["facts"]["role"] == "primary"
    assert found["audit"]["facts"]["schema_head"] is None
    assert found["cache"]["facts"]["keys"] == 0
    assert all(0 < one["latency_s"] < 60 for one in found.values())


def test_a_server_that_is_not_there_is_a_row_and_the_others_are_told(
    dbops: Dbops, changed: Callable[..., Path], folder: Path
) -> None:
    config = changed(("[redis.cache]\nurl = ", f'[redis.cache]\nurl = "unix://{folder}/nowhere.sock"\n#'))
    done = dbops("status", "--config", config, "--output", "json")
    assert done.returncode == 75
    found = targets(done)
    assert found["cache"]["state"] == "unreachable"
    assert {one["state"] for name, one in found.items() if name != "cache"} == {"ok"}
    text = dbops("status", "--config", config)
    assert text.returncode == 75
    assert f"{len(TARGETS) - 1} of {len(TARGETS)} targets answer" in text.stdout
    assert max(len(line.rstrip()) for line in text.stdout.splitlines()) <= 100


def test_a_wrong_password_is_12_and_stays_untold(dbops: Dbops, changed: Callable[..., Path], folder: Path) -> None:
    (folder / "wrong").write_text("certainly-not-this\n")
    (folder / "wrong").chmod(0o600)
    secret = changed().read_text().partition("[postgres.audit]")[2].partition("password = ")[2].partition("\n")[0]
    done = dbops("status", "--config", changed((secret, f'{{ file = "{folder}/wrong" }}')), "--output", "json")
    assert done.returncode == 12
    assert targets(done)["audit"]["state"] == "auth"
    assert "certainly-not-this" not in done.stdout + done.stderr


def test_a_missing_secret_of_one_target_does_not_stop_the_others(dbops: Dbops, changed: Callable[..., Path]) -> None:
    text = changed().read_text().partition("[redis.cache]")[2].partition("password = ")[2].partition("\n")[0]
    done = dbops("status", "--config", changed((text, '"${NOBODY_SET_THIS}"')), "--output", "json")
    assert done.returncode == 8
    found = targets(done)
    assert found["cache"]["state"] == "config"
    assert found["main"]["state"] == "ok"
    assert "NOBODY_SET_THIS" in done.stdout


def test_an_objective_that_is_missed_is_6(dbops: Dbops, changed: Callable[..., Path]) -> None:
    done = dbops("status", "--config", changed(('rpo = "5m"', 'rpo = "5m", backup_age = "1h"')), "--output", "json")
    assert done.returncode == 6
    assert [f["code"] for f in json.loads(done.stdout)["findings"]] == ["backup-age"]


def test_a_repository_that_cannot_be_read_is_not_a_pass(dbops: Dbops, changed: Callable[..., Path]) -> None:
    conf = changed().read_text().partition("pgbackrest_config = ")[2].partition("\n")[0]
    done = dbops("status", "--config", changed((conf, '"/nowhere/pgbackrest.conf"')), "--output", "json")
    assert done.returncode == 5
    assert [f["severity"] for f in json.loads(done.stdout)["findings"]] == ["unknown"]
    assert targets(done)["main"]["state"] == "ok"


@pytest.fixture
def silent() -> Generator[int]:
    """A server that accepts and never says a word: the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()
        kept: list[socket.socket] = []

        def accept() -> None:
            while not over.is_set():
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in kept:
            connection.close()


def test_who_never_answers_is_given_up_at_the_deadline(dbops: Dbops, folder: Path, silent: int) -> None:
    (folder / "dbops.toml").write_text(f"""
[platform]
name = "silence"
[cluster.one]
dsn = "host=127.0.0.1 port={silent} user=postgres"
[redis.two]
url = "redis://127.0.0.1:{silent}/0"
[cosmos.three]
endpoint = "http://127.0.0.1:{silent}"
database = "d"
key = "${{KEY}}"
[search.four]
endpoint = "http://127.0.0.1:{silent}"
key = "${{KEY}}"
""")
    done = dbops("status", "--deadline", "500ms", "--output", "json", env={"KEY": "c2VjcmV0"}, timeout=30)
    assert done.returncode == 75
    assert {one["state"] for one in targets(done).values()} == {"unreachable"}


@pytest.mark.parametrize("deadline", ["0s", "soon", ""])
def test_a_deadline_that_is_none_is_wrong_usage(dbops: Dbops, platform: Path, deadline: str) -> None:
    assert dbops("status", "--config", platform / "dbops.toml", "--deadline", deadline).returncode == 2


def test_a_platform_without_targets_is_an_invalid_configuration(dbops: Dbops, folder: Path) -> None:
    (folder / "dbops.toml").write_text('[platform]\nname = "void"\n')
    assert dbops("status").returncode == 8
