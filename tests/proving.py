"""A cluster with two repositories for tests of verification: a bundled one, and an encrypted one of single files."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dbops.engine import clock
from dbops.operations.clusters.prove import ready
from dbops.operations.clusters.prove.facts import Outcome, Wanted
from dbops.servers import account
from dbops.stores import pgbackrest

import clustering
from clustering import TARGET

PASS = "correct horse battery staple"


@dataclass(frozen=True)
class Proving:
    """The cluster, and a copy of its repositories as they were when all was well."""

    live: clustering.Cluster
    saved: Path

    def repo(self, number: int = 1) -> Path:
        return self.live.stanza.home / ("repo" if number == 1 else f"repo{number}")

    def reset(self) -> None:
        """Put the repositories back, and forget what was found."""
        for number in (1, 2):
            shutil.rmtree(self.repo(number), ignore_errors=True)
            subprocess.run(["cp", "-a", self.saved / self.repo(number).name, self.repo(number)], check=True)
        shutil.rmtree(self.live.folder / "vault")
        clustering.write_toml(self.live)

    def configure(self, **more: Any) -> None:
        clustering.write_toml(replace(self.live, more=more))

    def verify(self, **wanted: Any) -> Outcome:
        run = self.live.run("backup verify")
        return ready.verified(
            self.live.config, TARGET, run, Wanted(**wanted), now=clock.now(), on_progress=lambda _: None
        )

    def files(self, number: int = 1) -> list[Path]:
        return sorted(each for each in self.repo(number).rglob("*") if each.is_file() and not each.is_symlink())

    def labels(self, number: int = 1) -> list[str]:
        [stanza] = pgbackrest.info(self.live.config.cluster[TARGET], target=TARGET)
        return [one.label for one in stanza.backups if one.repository == number]

    def segments(self, number: int = 1) -> list[Path]:
        home = self.repo(number) / "archive" / TARGET
        return sorted(each for each in home.rglob("*-*") if each.is_file() and each.name[24] == "-")

    def segment(self, name: str, number: int = 1) -> Path:
        return next(each for each in self.segments(number) if each.name.startswith(name))


def flip(path: Path, at: int | None = None, bits: int = 0xFF) -> None:
    """Change one byte, in the middle unless told where; nothing else of the file changes."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= bits
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextmanager
def proving(folder: Path) -> Generator[Proving]:
    """Full, switch, incremental in the first repository; a full of single gz files in the encrypted second one."""
    folder.mkdir(mode=0o711)
    with clustering.under_backup(folder) as live:
        repo2 = account.make_folder(live.stanza.home / "repo2")
        text = live.stanza.config.read_text()
        second = f"repo2-path={repo2}\nrepo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass={PASS}\n"
        account.write_file(live.stanza.config, text.replace("[global]\n", f"[global]\n{second}"))
        live.pgbackrest("stanza-create")
        live.quiet()
        live.keep("before")
        live.pgbackrest("backup", "--type=full", "--repo=1", "--no-expire-auto")
        live.keep("between")
        live.switch()
        live.pgbackrest("backup", "--type=incr", "--repo=1", "--no-expire-auto")
        live.keep("after")
        live.switch()
        live.pgbackrest("backup", "--type=full", "--repo=2", "--compress-type=gz", "--no-expire-auto")
        for number in range(2):
            live.keep(f"later {number}")
            live.switch()
        saved = folder / "saved"
        saved.mkdir()
        made = Proving(live, saved)
        for number in (1, 2):
            subprocess.run(["cp", "-a", made.repo(number), saved / made.repo(number).name], check=True)
        yield made
