"""What the tests of the installed program stand in: an environment, a configuration, journals."""

import os
from pathlib import Path

import pytest

from dbops.engine import journal

from shell import CONFIG


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color"}


@pytest.fixture
def configured(folder: Path) -> Path:
    """A folder with a valid configuration."""
    (folder / "dbops.toml").write_text(CONFIG)
    return folder


@pytest.fixture
def journaled(configured: Path) -> Path:
    """A configured folder with three journals: 1 and 3 done, 2 unfinished."""
    for name in ("1", "2", "3"):
        with journal.opened(
            configured / "state", f"2026112{name}T000000.000Z-0000", "audit", command="roles apply"
        ) as log:
            log.write("start", step="a\x1b[31m")
        if name == "2":
            log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:-1]) + b'{"at')
    return configured
