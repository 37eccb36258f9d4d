"""`dbops sandbox` as an operator meets it: up, status, exec, down, and every refusal."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbops.config.load import load
from dbops.errors import ExitCode
from dbops.sandbox.facts import DATABASES, EMULATORS, SEARCH, SECRETS
from dbops.sandbox.layout import Layout, at
from dbops.servers import account, alive, emulator, sockets
from dbops.servers import postgres as pg
from dbops.servers import redis as rd

Dbops = Callable[..., subprocess.CompletedProcess[str]]
AS_JSON = ("--output", "json")


@pytest.fixture
def box(folder: Path, dbops: Dbops) -> Any:
    """The folder of a sandbox that is taken down in the end, however the test went."""
    place = folder / "sandbox"
    yield place
    if place.exists():
        ended = dbops("sandbox", "down", "--purge", "--yes", "--dir", place)
        assert ended.returncode == 0, ended.stderr


def serving(place: Path) -> list[int]:
    """Everybody who lives and has to do with a folder."""
    found = [pid for pid in alive.everybody() if any(str(place) in word for word in alive.argv_of(pid))]
    return [pid for pid in {*found, *alive.working_in(at(place).server.data, "postgres")} if alive.is_alive(pid)]


def data(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(ended.stdout)["data"]


def up(dbops: Dbops, place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    ended = dbops("sandbox", "up", "--fast", "--dir", place, *more)
    assert ended.returncode == 0, ended.stderr
    return ended


def test_a_sandbox_from_the_cradle_to_the_grave(dbops: Dbops, box: Path) -> None:
    planned = data(dbops("sandbox", "up", "--dir", box, "--plan", "--output", "json"))
    assert not box.exists()
    steps = data(up(dbops, box, "--output", "json"))["steps"]
    assert [step["id"] for step in steps] == [step["id"] for step in planned["steps"]]

    told = data(dbops("sandbox", "status", "--dir", box, "--output", "json"))
    assert told["complete"]
    assert told["databases"] == sorted(DATABASES.values())
    assert dbops("config", "check", "--config", box / "dbops.toml").returncode == 0
    assert dbops("status", "--config", box / "dbops.toml").returncode == 0
    assert data(up(dbops, box, "--output", "json"))["steps"] == []

    assert dbops("sandbox", "down", "--dir", box).returncode == 0
    assert serving(box) == []
    assert dbops("sandbox", "status", "--dir", box).returncode == 0
    up(dbops, box)
    asked = dbops("sandbox", "down", "--purge", "--dir", box)
    assert asked.returncode == ExitCode.CONFIRM
    assert dbops("sandbox", "down", "--purge", "--yes", "--dir", box).returncode == 0
    assert serving(box) == []
    assert not box.exists()
    assert dbops("sandbox", "down", "--purge", "--yes", "--dir", box).returncode == 0


def test_exec_hands_over_configuration_secrets_and_exit_code(dbops: Dbops, box: Path) -> None:
    up(dbops, box)
    script = 'psql "$DBOPS_SANDBOX_POSTGRES" -Atc "SELECT 6 * 7" && echo "$DBOPS_CONFIG" && cat && exit 5'
    ended = dbops("sandbox", "exec", "--dir", box, "--", "sh", "-c", script, stdin="handed on")
    assert ended.returncode == 5
    assert ended.stdout.splitlines() == ["42", str(box / "dbops.toml"), "handed on"]
    told = dbops("sandbox", "exec", "--dir", box, "--", "env").stdout
    for name in ("POSTGRES", "CACHE", "WORKFLOWS", "SEARCH_QUERY", "LLM_AGENT_OWNER"):
        secret = (box / "secrets" / name.lower()).read_text().strip()
        assert f"DBOPS_SANDBOX_{name}_PASSWORD={secret}\n" in told
    assert dbops("sandbox", "exec", "--dir", box, "no-such-program").returncode == ExitCode.MISSING


@pytest.mark.parametrize("purge", [False, True])
def test_scratch_copies_that_are_kept_end_with_their_sandbox(
    dbops: Dbops, folder: Path, box: Path, *, purge: bool
) -> None:
    up(dbops, box)
    there = ("--config", box / "dbops.toml")
    elsewhere = folder / "copy"
    assert dbops("backup", "run", *there).returncode == 0
    for more in ((), ("--to", elsewhere)):
        assert dbops("pitr", "restore", "--latest", "--keep", *more, *there).returncode == 0
    assert len(serving(elsewhere)) > 0
    how = ("--purge", "--yes") if purge else ()
    steps = [
        step["id"].split(" ")[:2] for step in data(dbops("sandbox", "down", "--dir", box, *how, *AS_JSON))["steps"]
    ]
    assert steps[:2] == [["stop", "copy"], ["remove" if purge else "stop", "copy"]]
    assert serving(box) == serving(elsewhere) == []
    assert elsewhere.exists() is not purge
    if not purge:  # the files stay, as those of the platform do, and can be removed as ever
        assert dbops("pitr", "clean", "--all", *there).returncode == 0
        assert not elsewhere.exists()


@pytest.mark.parametrize("name", ["with space", 'o\'clock "now"', "größe,$HOME", "back\\slash", "${HOME}=%d"])
def test_hostile_folder_names_work_to_the_end(dbops: Dbops, folder: Path, name: str) -> None:
    place = folder / name
    up(dbops, place)
    layout = at(place)
    assert load(layout.config).config.cluster["main"].data_directory == layout.server.data
    assert dbops("status", "--config", layout.config).returncode == 0
    private = sockets.private(layout.server.home)
    up(dbops, place)
    assert dbops("sandbox", "down", "--purge", "--yes", "--dir", place).returncode == 0
    assert private is None or not private.exists()
    assert not place.exists()
    assert serving(place) == []


def test_a_long_path_keeps_its_configuration_over_a_stop(dbops: Dbops, folder: Path) -> None:
    place = folder / ("long-" * 25)
    up(dbops, place)
    before = (place / "dbops.toml").read_text()
    assert dbops("sandbox", "down", "--dir", place).returncode == 0
    assert sockets.private(at(place).server.home) is None
    up(dbops, place)
    assert (place / "dbops.toml").read_text() == before
    assert dbops("sandbox", "down", "--purge", "--yes", "--dir", place).returncode == 0


@pytest.mark.parametrize("victim", ["postgres", "both"])
def test_killed_servers_are_recognised_and_repaired(dbops: Dbops, box: Path, victim: str) -> None:
    up(dbops, box)
    layout = at(box)
    killed = [pid for pid in (pg.pid(layout.server), rd.pid(layout.cache)) if pid is not None]
    assert len(killed) == 2
    chosen = killed if victim == "both" else killed[:1]
    for pid in chosen:
        os.kill(pid, signal.SIGKILL)
    assert alive.await_end(chosen, 10)
    seen = dbops("sandbox", "status", "--dir", box, "--output", "json")
    assert seen.returncode == ExitCode.WARNINGS
    assert ("killed" in (data(seen)["cluster"], data(seen)["cache"])) is True
    assert "after it was killed" in up(dbops, box, "--output", "json").stdout
    assert data(dbops("sandbox", "status", "--dir", box, "--output", "json"))["complete"]
    for pid in chosen:
        assert pid not in serving(box)


def test_a_killed_emulator_is_started_again_with_its_data(dbops: Dbops, box: Path) -> None:
    up(dbops, box)
    config = box / "dbops.toml"
    before = config.read_text()
    for name in EMULATORS:
        pid = emulator.pid(at(box).emulator(name))
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert alive.await_end([pid], 10)
    assert dbops("sandbox", "status", "--dir", box).returncode == ExitCode.WARNINGS
    up(dbops, box)
    assert config.read_text() == before
    assert dbops("status", "--config", config).returncode == 0


def test_a_port_that_somebody_took_meanwhile_is_replaced_in_the_configuration(dbops: Dbops, box: Path) -> None:
    up(dbops, box)
    layout = at(box)
    port = emulator.port(layout.emulator(SEARCH))
    assert port is not None
    assert dbops("sandbox", "down", "--dir", box).returncode == 0
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        up(dbops, box)
    assert f":{port}" not in layout.config.read_text()
    assert f":{port}" in (box / "dbops.toml.old").read_text()
    assert dbops("status", "--config", layout.config).returncode == 0


def test_down_clears_what_killed_servers_left(dbops: Dbops, box: Path) -> None:
    up(dbops, box)
    layout = at(box)
    killed = [pid for pid in (pg.pid(layout.server), rd.pid(layout.cache)) if pid is not None]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert alive.await_end(killed, 10)
    assert dbops("sandbox", "down", "--dir", box).returncode == 0
    again = data(dbops("sandbox", "down", "--dir", box, "--output", "json"))
    assert again["steps"] == []
    assert serving(box) == []


def test_two_ups_at_once_are_one(dbops: Dbops, folder: Path, box: Path) -> None:
    program = Path(sys.executable).with_name("dbops")
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    both = [
        subprocess.Popen(
            [program, "sandbox", "up", "--fast", "--dir", box],
            env=clean,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    told = [one.communicate(timeout=120)[1] for one in both]
    codes = sorted(one.returncode for one in both)
    assert codes in ([0, ExitCode.LOCKED], [0, 0]), told
    if codes[1] == ExitCode.LOCKED:
        loser = next(n for n, one in enumerate(both) if one.returncode)
        assert f"pid {both[1 - loser].pid}" in told[loser]
    layout = at(box)
    assert len([pid for pid in serving(box) if pid in (pg.pid(layout.server), rd.pid(layout.cache))]) == 2
    assert up(dbops, box).returncode == 0


def test_several_sandboxes_live_side_by_side(dbops: Dbops, folder: Path, box: Path) -> None:
    other = folder / "other"
    up(dbops, box)
    up(dbops, other)
    assert pg.pid(at(box).server) != pg.pid(at(other).server)
    assert dbops("sandbox", "down", "--purge", "--yes", "--dir", other).returncode == 0
    assert data(dbops("sandbox", "status", "--dir", box, "--output", "json"))["complete"]


def test_a_lost_or_changed_password_of_an_owner_is_repaired(dbops: Dbops, box: Path) -> None:
    up(dbops, box)
    layout = at(box)
    layout.secret_file("audit_owner").unlink()
    layout.secret_file("workflow_owner").write_text("another one\n")
    up(dbops, box)
    for target in ("audit", "workflow"):
        dsn = pg.conninfo(layout.server, user=f"{target}_owner", dbname=DATABASES[target])
        password = layout.secret_file(f"{target}_owner").read_text().strip()
        psycopg.connect(dsn, password=password).close()


def test_the_password_of_the_superuser_cannot_be_made_up(dbops: Dbops, box: Path) -> None:
    up(dbops, box)
    (box / "secrets" / "postgres").unlink()
    ended = dbops("sandbox", "up", "--dir", box)
    assert ended.returncode == ExitCode.REFUSED
    assert "down --purge" in ended.stderr


def test_what_somebody_wrote_into_the_configuration_is_kept(dbops: Dbops, folder: Path, box: Path) -> None:
    up(dbops, box)
    config = box / "dbops.toml"
    config.write_text(config.read_text() + "# mine\n")
    up(dbops, box)
    assert config.read_text().endswith("# mine\n")
    assert dbops("sandbox", "down", "--dir", box).returncode == 0
    moved = folder / "moved"
    box.rename(moved)
    up(dbops, moved)
    assert dbops("status", "--config", moved / "dbops.toml").returncode == 0
    assert (moved / "dbops.toml.old").read_text().endswith("# mine\n")
    assert dbops("sandbox", "down", "--purge", "--yes", "--dir", moved).returncode == 0


def test_no_secret_is_in_an_argument_list_an_output_or_a_journal(dbops: Dbops, box: Path) -> None:
    outputs = [up(dbops, box, "--verbose"), dbops("sandbox", "status", "--dir", box, "--output", "json")]
    secrets = [file.read_text().strip() for file in (box / "secrets").iterdir()]
    told = [ended.stdout + ended.stderr for ended in outputs]
    told += [file.read_text() for file in (box / "state").rglob("*.jsonl")]
    logs = [at(box).server.log, at(box).cache.log, *(at(box).emulator(name).log for name in EMULATORS)]
    told += [(box / "dbops.toml").read_text(), *(log.read_text() for log in logs)]
    told += [" ".join(alive.argv_of(pid)) for pid in alive.everybody()]
    assert len(secrets) == len(SECRETS)
    assert not [secret for secret in secrets for text in told if secret in text]
    assert {file.stat().st_mode & 0o777 for file in (box / "secrets").iterdir()} == {0o600}


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_parent_is_named(dbops: Dbops, folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o600)
    ended = dbops("sandbox", "up", "--dir", closed / "inner" / "sandbox")
    assert ended.returncode == ExitCode.REFUSED
    assert f"cannot enter {closed}" in ended.stderr
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize("verb", [("up",), ("down",), ("down", "--purge", "--yes")])
def test_a_folder_that_holds_something_else_is_left_alone(dbops: Dbops, folder: Path, verb: tuple[str, ...]) -> None:
    place = folder / "precious"
    place.mkdir()
    (place / "thesis.tex").write_text("all my work")
    ended = dbops("sandbox", *verb, "--dir", place)
    assert ended.returncode == ExitCode.REFUSED
    assert "is no sandbox" in ended.stderr
    assert [entry.name for entry in place.iterdir()] == ["thesis.tex"]


def test_a_name_that_is_too_long_is_refused(dbops: Dbops, folder: Path) -> None:
    ended = dbops("sandbox", "up", "--dir", folder / ("x" * 300))
    assert ended.returncode == ExitCode.REFUSED
    assert "too long" in ended.stderr


def test_a_file_and_a_line_break_are_refused(dbops: Dbops, folder: Path) -> None:
    (folder / "file").touch()
    assert dbops("sandbox", "up", "--dir", folder / "file").returncode == ExitCode.REFUSED
    assert dbops("sandbox", "up", "--dir", folder / "two\nlines").returncode == ExitCode.REFUSED
    assert not (folder / "two\nlines").exists()


def test_there_is_no_sandbox_to_look_at(dbops: Dbops, folder: Path) -> None:
    for verb in (("status", "--dir", "none"), ("exec", "--dir", "none", "--", "true")):
        ended = dbops("sandbox", *verb)
        assert ended.returncode == ExitCode.REFUSED
        assert "dbops sandbox up --dir" in ended.stderr
    assert dbops("sandbox", "down", "--dir", folder / "none").returncode == 0


def test_a_missing_program_is_told_before_anything_is_made(dbops: Dbops, folder: Path) -> None:
    ended = dbops("sandbox", "up", "--dir", folder / "sandbox", env={account.VARIABLE: "no-such-account"})
    assert ended.returncode == (ExitCode.MISSING if os.geteuid() == 0 else 0), ended.stderr
    assert (folder / "sandbox").exists() is (os.geteuid() != 0)


def test_half_a_first_step_does_not_make_a_folder_foreign(dbops: Dbops, box: Path) -> None:
    box.mkdir()
    layout: Layout = at(box)
    layout.lock.touch()
    (box / f".{layout.marker.name}.new").write_text("{")
    up(dbops, box)
    shutil.rmtree(box / "secrets", ignore_errors=False)
    assert dbops("sandbox", "down", "--dir", box).returncode == 0
