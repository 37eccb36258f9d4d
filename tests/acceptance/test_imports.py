"""What is not needed is not imported: help and the journal work without any store's library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("alembic", "azure", "psycopg", "pydantic", "redis", "sqlalchemy")

# Runs the program's own entry point, and tells at the very end what it has brought in.
_PROBE = """
import atexit, json, sys
from importlib.metadata import entry_points
[script] = entry_points(group="console_scripts", name="dbops")
atexit.register(lambda: print("\\n" + json.dumps(sorted(sys.modules)), file=sys.stderr))
sys.argv[0] = "dbops"
script.load()()
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return {name.partition(".")[0] for name in json.loads(ended.stderr.splitlines()[-1])}


@pytest.mark.parametrize("arguments", [("--help",), ("journal", "list")], ids=" ".join)
def test_help_and_the_journal_import_no_library_of_a_store(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "dbops.toml").write_text(f'[platform]\nname = "x"\nenvironment = "test"\nstate_dir = "{tmp_path}"\n')

    names = imported(tmp_path, *arguments)

    assert "typer" in names
    assert names.isdisjoint(HEAVY)


def test_to_describe_a_store_of_azure_needs_no_library_of_azure(tmp_path: Path) -> None:
    (tmp_path / "dbops.toml").write_text(
        '[platform]\nname = "x"\n[cosmos.w]\nendpoint = "https://w.documents.azure.com"\ndatabase = "w"\n'
        '[search.s]\nendpoint = "https://s.search.windows.net"\n[vault]\nurl = "azure://account/container"\n'
    )

    names = imported(tmp_path, "config", "check")

    assert "pydantic" in names
    assert names.isdisjoint({"azure", "numpy", "obstore", "orjson", "psycopg", "redis", "requests", "uvicorn"})


def test_status_brings_in_what_its_targets_need_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "dbops.toml").write_text(f'[platform]\nname = "x"\n[vault]\nurl = "file://{tmp_path}/vault"\n')

    names = imported(tmp_path, "status")

    assert names.isdisjoint({"azure", "requests", "numpy", "uvicorn", "sqlalchemy", "alembic"})
