"""Memory of the commands that look at a whole archive of WAL: 100,000 segments."""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.servers import account

import clustering

SEGMENTS = 100_000
PER_LOG = 0x1000  # with 1 MB each, as many names begin alike
LIMIT_MB = 200
_PROGRAM = """
import atexit, resource, sys
from dbops.cli import main
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr))
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def live(base: Path) -> Generator[clustering.Cluster]:
    """A cluster with one backup, and with more WAL than it ever wrote."""
    folder = base / "memory"
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as made:
        made.keep("one")
        made.pgbackrest("backup", "--type=full")
        made.switch()
        fabricate(made)
        yield made


def fabricate(made: clustering.Cluster) -> None:
    """Go on behind the last segment with links to it: as files they are as real as any."""
    [archive] = [each for each in (made.repository / "archive" / made.stanza.name).iterdir() if each.is_dir()]
    source = max(archive.glob("*/*-*.zst"))
    checksum = source.name.partition("-")[2]
    first = int(source.name[8:16], 16) * PER_LOG + int(source.name[16:24], 16) + 1
    for number in range(first, first + SEGMENTS):
        log, low = divmod(number, PER_LOG)
        room = archive / f"{1:08X}{log:08X}"
        if not room.exists():
            account.make_folder(room, 0o750)
            source = Path(shutil.copy2(source, room / "source"))  # a file has room for some 60,000 links
            account.give(source)
        name = f"{room.name}{low:08X}-{checksum}"
        os.link(source, room / name)
    for room in archive.iterdir():
        (room / "source").unlink(missing_ok=True)


COMMANDS = [
    ("backup", "list"),
    ("backup", "verify", "--depth", "quick"),
    ("backup", "verify", "--subset", "1/100"),
    ("backup", "expire", "--plan"),
    ("pitr", "window"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_looking_at_a_large_archive_takes_little_memory(live: clustering.Cluster, words: tuple[str, ...]) -> None:
    argv = [sys.executable, "-c", _PROGRAM, *words, "--config", str(live.toml), "--output", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
    *_, last = done.stderr.splitlines()
    assert done.returncode in {0, 3}, done.stderr + done.stdout
    print(f"{' '.join(words)}: {last} MB")
    assert int(last) <= LIMIT_MB
