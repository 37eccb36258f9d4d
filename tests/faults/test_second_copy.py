"""Second copies that are away, full, read-only, killed in between or hostile: told, and never half an artifact."""

import fcntl
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from killing import Zygote, kills, moment
from vaults import configured, contents, put, whole

Dbops = Callable[..., CompletedProcess[str]]

_CHAIN = 5


@pytest.fixture
def here(folder: Path) -> Path:
    """A vault with two artifacts, and an empty second copy."""
    configured(folder, "far")
    (folder / "far").mkdir()
    put(folder / "near", day=1)
    put(folder / "near", day=2)
    return folder


def codes(done: CompletedProcess[str]) -> set[str]:
    return {finding["code"] for finding in json.loads(done.stdout)["findings"]}


# ── a copy that is not there ─────────────────────────────────────────────────────────────────────


def test_a_missing_copy_is_told_and_the_vault_is_still_listed(dbops: Dbops, here: Path) -> None:
    (here / "far").rmdir()
    listed = dbops("vault", "list", "-o", "json")
    assert (listed.returncode, codes(listed)) == (75, {"unreachable"})
    assert len(json.loads(listed.stdout)["data"]["artifacts"]) == 2
    assert dbops("vault", "copy").returncode == 75
    assert not (here / "far").exists()  # an unmounted disk is not to be filled below its mount point
    assert dbops("vault", "verify", "--all", "--place", "far").returncode == 5


def test_a_copy_that_refuses_connections_does_not_keep_another_from_being_brought_up(dbops: Dbops, here: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        port = listener.getsockname()[1]
        away = f'[vault.copies.away]\nurl = "s3://bucket"\nendpoint = "http://127.0.0.1:{port}"\nregion = "x"\n'
        (here / "dbops.toml").write_text(
            (here / "dbops.toml")
            .read_text()
            .replace("[vault.copies.far]", f'{away}key_id = "k"\nkey = "${{KEY}}"\n[vault.copies.far]')
        )
        env = {"KEY": "secret-of-the-copy"}
        copied = dbops("vault", "copy", "-o", "json", env=env)
        listed = dbops("vault", "list", "-o", "json", env=env)
    assert (copied.returncode, codes(copied)) == (75, {"unreachable"})
    assert len(whole(here / "far")) == 2
    assert listed.returncode == 75
    assert [one["copies"] for one in json.loads(listed.stdout)["data"]["artifacts"]] == [["far"], ["far"]]
    assert "secret-of-the-copy" not in copied.stdout + copied.stderr + listed.stdout + listed.stderr


# ── a copy that cannot be written ────────────────────────────────────────────────────────────────


def in_its_own_mounts(here: Path, mount: str, *words: str) -> CompletedProcess[str]:
    """Run dbops in a mount namespace of the test's own."""
    program = shlex.join([str(Path(sys.executable).with_name("dbops")), *words])
    far = shlex.quote(str(here / "far"))
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    env = {"PATH": os.environ["PATH"], "HOME": str(here), "DBOPS_CONFIG": str(here / "dbops.toml")}
    script = f"{mount.replace('FAR', far)} && {program}"
    return subprocess.run(
        [*alone, "sh", "-c", script], env=env, cwd=here, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_read_only_copy_is_refused_and_can_still_be_verified(dbops: Dbops, here: Path) -> None:
    assert dbops("vault", "copy").returncode == 0
    put(here / "near", day=3)
    read_only = "mount --bind FAR FAR && mount -o remount,ro,bind FAR"
    copied = in_its_own_mounts(here, read_only, "vault", "copy")
    assert copied.returncode == 9, copied.stderr
    assert "Read-only file system" in copied.stderr
    verified = in_its_own_mounts(here, read_only, "vault", "verify", "--all", "--place", "far")
    assert verified.returncode == 3, verified.stderr  # good, but the result could not be kept
    assert "DBV112" in verified.stderr


def test_a_copy_on_a_full_disk_is_refused_and_the_next_run_finishes(dbops: Dbops, here: Path) -> None:
    put(here / "near", day=3, size=200_000)
    copied = in_its_own_mounts(here, "mount -t tmpfs -o size=64k none FAR", "vault", "copy")
    assert copied.returncode == 9, copied.stderr
    assert "No space left on device" in copied.stderr
    assert "Traceback" not in copied.stderr
    assert dbops("vault", "copy").returncode == 0
    assert contents(here / "far") == contents(here / "near")


# ── a run that is killed, or not alone ───────────────────────────────────────────────────────────


def test_a_killed_copy_is_never_half_an_artifact_and_the_next_run_goes_on(
    zygote: Zygote, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    config = configured(folder, "far")
    for day in range(1, 7):
        put(folder / "near", day=day, files=3, size=random.choice((1, 100_000, 5_000_000)))
    copy = ("vault", "copy", "--config", config)

    def emptied() -> None:
        shutil.rmtree(folder / "far", ignore_errors=True)
        (folder / "far").mkdir()

    emptied()
    clean = zygote.finished(*copy)
    wanted = contents(folder / "far")
    assert wanted == contents(folder / "near")

    done = half = 0
    while done < kills(50):
        emptied()
        for _ in range(_CHAIN):
            ended = zygote.run(*copy, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
            complete = whole(folder / "far")
            half += 0 < len(complete) < 6
        zygote.finished(*copy)
        assert contents(folder / "far") == wanted
        assert not list((folder / "far").rglob("part-*.unfinished-*"))  # invisible, and yet they would fill the disk
    assert half or done < 50
    record_property("kills", f"vault copy: {done} kills, a clean run takes {clean.seconds:.2f} s")


def test_a_run_that_is_asked_to_stop_ends_within_a_file_and_the_next_one_goes_on(dbops: Dbops, here: Path) -> None:
    name = put(here / "near", day=3, files=4, size=40_000_000)
    program = [str(Path(sys.executable).with_name("dbops")), "vault", "copy"]
    env = os.environ | {"HOME": str(here), "DBOPS_CONFIG": str(here / "dbops.toml")}
    with subprocess.Popen(program, cwd=here, env=env, stderr=subprocess.PIPE) as child:
        while child.poll() is None and not list((here / "far" / name).glob("part-0*")):
            pass  # the first of four files is under way: it cannot be done by the next line
        child.send_signal(signal.SIGTERM)
        _, told = child.communicate(timeout=60)
    assert child.returncode == 143, told
    assert b"it observes what is done and goes on" in told
    assert whole(here / "far") == set()
    assert not list((here / "far").rglob("*.unfinished-*"))
    assert dbops("vault", "copy").returncode == 0
    assert contents(here / "far") == contents(here / "near")


def test_a_second_run_does_not_copy_to_the_same_place(dbops: Dbops, here: Path) -> None:
    locks = here / "state" / "locks"
    locks.mkdir(parents=True)
    with (locks / "far--vault.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert dbops("vault", "copy").returncode == 11
        assert dbops("vault", "copy", "--skip-if-running").returncode == 0
        assert dbops("vault", "copy", "--plan").returncode == 0  # a mere look waits for nobody
    assert contents(here / "far") == {}


def test_a_file_that_is_there_already_is_hashed_and_a_wrong_one_is_left_as_it_is(dbops: Dbops, here: Path) -> None:
    assert dbops("vault", "copy").returncode == 0
    killed = here / "far/postgres/audit/20260801T020000.000Z-dump"
    (killed / "manifest.json").unlink()
    wrong = bytearray((killed / "part-0.jsonl").read_bytes())
    wrong[0] ^= 1
    (killed / "part-0.jsonl").write_bytes(wrong)
    copied = dbops("vault", "copy")
    assert copied.returncode == 4
    assert "it was not written over" in copied.stderr
    assert (killed / "part-0.jsonl").read_bytes() == wrong
    assert not (killed / "manifest.json").exists()


# ── a vault that holds other things ──────────────────────────────────────────────────────────────


def test_hostile_names_and_other_files_are_counted_and_neither_obeyed_nor_copied(dbops: Dbops, here: Path) -> None:
    near = here / "near"
    (near / "\x1b]0;owned\x07.txt").write_text("x")
    (near / "postgres/audit/../../notes").resolve().write_text("x")
    hostile = near / "postgres" / "au\x1b[31mdit" / "20260801T020000.000Z-dump"
    hostile.mkdir(parents=True)
    (hostile / "manifest.json").write_text("{}")
    listed = dbops("vault", "list")
    assert listed.returncode == 0, listed.stderr
    assert "3 objects belong to no artifact" in listed.stderr
    assert "\x1b" not in listed.stdout + listed.stderr
    assert dbops("vault", "copy").returncode == 0
    assert len(whole(here / "far")) == 2
    assert sorted(path.name for path in (here / "far").iterdir()) == ["postgres"]


@pytest.mark.parametrize("text", ["{}", "[]", "", "\x00", '{"format": 1, "seal": null}', "[" * 100_000])
def test_a_manifest_of_any_other_content_is_broken_and_no_traceback(dbops: Dbops, here: Path, text: str) -> None:
    manifest = here / "near/postgres/audit/20260801T020000.000Z-dump/manifest.json"
    manifest.write_text(text)
    for words in (("list",), ("verify", "--all"), ("copy",)):
        done = dbops("vault", *words)
        assert done.returncode == 4, (words, done.stderr)
        assert "Traceback" not in done.stderr
    assert len(whole(here / "far")) == 1
