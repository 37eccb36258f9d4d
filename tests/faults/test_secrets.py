"""Secrets are planted wherever a configuration can hold one; then everything that dbops leaves is searched for them."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest

from dbops.sandbox.environment import environment

Dbops = Callable[..., CompletedProcess[str]]

_IN_ENVIRONMENT = "env'quo\"te %s{} pläin/ünd@so:weiter"
_IN_FILE = "file-Planted:Secret@/#?&=+%41"


@contextmanager
def every_argv() -> Generator[set[str]]:
    """Watch /proc/*/cmdline as closely as one can, while something runs."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    try:
                        seen.add(Path(entry.path, "cmdline").read_bytes().decode(errors="replace"))
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@pytest.fixture
def planted(platform: Path, folder: Path) -> Generator[Path]:
    """A configuration with secrets of every kind, one login for each."""
    (folder / "in-file").write_text(_IN_FILE + "\n")
    (folder / "in-file").chmod(0o600)
    text = (platform / "dbops.toml").read_text()
    (folder / "dbops.toml").write_text(
        text
        + f"""
[roles.planted_by_environment]
login = true
password = "${{PLANTED_SECRET}}"

[roles.planted_by_file]
login = true
password = {{ file = "{folder}/in-file" }}

[redis.planted_cache]
url = "redis://:${{PLANTED_SECRET}}@127.0.0.1:1/0"

[postgres.planted]
cluster = "main"
dsn = "host={folder} user=planted password=${{PLANTED_SECRET}} dbname=planted"
"""
    )
    yield folder / "dbops.toml"
    with psycopg.connect(environment(platform)["DBOPS_SANDBOX_POSTGRES"], autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS planted_by_environment")
        admin.execute("DROP ROLE IF EXISTS planted_by_file")


def test_no_secret_is_in_outputs_journals_or_arguments(dbops: Dbops, platform: Path, planted: Path) -> None:
    env = {"PLANTED_SECRET": _IN_ENVIRONMENT, "DBOPS_CONFIG": str(planted)}
    runs = [
        ("config", "check"),
        ("config", "show", "--output", "json"),
        ("status",),
        ("status", "--output", "json"),
        ("roles", "plan", "--target", "main"),
        ("roles", "apply", "--yes", "--verbose", "--target", "main"),
        ("roles", "apply", "--yes", "--keep-going"),  # the database `planted` cannot be reached
        ("roles", "check", "--output", "json"),
        ("journal", "list"),
    ]
    with every_argv() as arguments:
        done = [dbops(*words, env=env) for words in runs]
    assert [one.returncode for one in done[:2]] == [0, 0], done[0].stderr
    assert done[5].returncode == 0, done[5].stderr
    told = [one.stdout + one.stderr for one in done]
    told += [file.read_text() for file in (platform / "state").rglob("*") if file.is_file()]
    told += [file.read_text(errors="replace") for file in platform.rglob("*.log")]
    told += arguments
    assert len(arguments) > len(runs), "the watch saw nothing"
    assert any("roles" in one and "apply" in one for one in arguments)
    assert not [text for text in told for secret in (_IN_ENVIRONMENT, _IN_FILE) if secret in text]


def test_the_planted_passwords_log_in(dbops: Dbops, platform: Path, planted: Path) -> None:
    env = {"PLANTED_SECRET": _IN_ENVIRONMENT, "DBOPS_CONFIG": str(planted)}
    assert dbops("roles", "apply", "--yes", "--target", "main", env=env).returncode == 0
    admin = environment(platform)["DBOPS_SANDBOX_POSTGRES"]
    for user, password in (("planted_by_environment", _IN_ENVIRONMENT), ("planted_by_file", _IN_FILE)):
        with psycopg.connect(admin, user=user, password=password, dbname="postgres") as connection:
            assert connection.execute("SELECT current_user").fetchone() == (user,)


def test_a_bug_keeps_its_traceback_without_the_secret(folder: Path) -> None:
    program = f"""
import typer
from dbops.cli import door
from dbops.cli.options import Asked
from dbops.redact import register
app = typer.Typer()
@door.command(app, "fail", "dbops fail")
def fail(asked: Asked) -> door.Result:
    "Fail."
    raise RuntimeError("cannot log in with " + register({_IN_FILE!r}))
@app.callback()
def group() -> None: ...
raise SystemExit(door.close(app(["fail"], standalone_mode=False)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError" in done.stderr
    assert _IN_FILE not in done.stdout + done.stderr
