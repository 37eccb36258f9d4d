"""A cluster whose two repositories hold several chains, put back as they were before each test."""

import shutil
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dbops.config.model import Config
from dbops.engine.finding import Finding
from dbops.operations.clusters.expire import ready
from dbops.servers import account
from dbops.stores import pgbackrest

import clustering
from clustering import TARGET

CHAINS = {1: ("full", "diff", "incr", "diff", "full", "incr", "full"), 2: ("full", "full")}
# what seeds and old guides set: pgBackRest itself would remove much more than ours
_HOSTILE = "repo1-retention-diff=1\nrepo1-retention-archive=1\nrepo2-retention-full=1\n"


@dataclass(frozen=True)
class Shelf:
    """The cluster, the labels of its sets, and a copy of its repositories."""

    live: clustering.Cluster
    made: Mapping[int, tuple[str, ...]]  # by repository
    moments: tuple[datetime, ...]  # one before each of them, with one row more than the one before
    saved: Path

    def reset(self, **backup: Any) -> None:
        """Put everything back; `backup` is what the configuration promises."""
        for name in ("repo", "repo2"):
            place = self.live.stanza.home / name
            shutil.rmtree(place)
            subprocess.run(["cp", "-a", self.saved / name, place], check=True)
        shutil.rmtree(self.live.folder / "vault")  # nothing is remembered of it
        clustering.write_toml(replace(self.live, more={"backup": backup}))

    @property
    def config(self) -> Config:
        return self.live.config

    def stanza(self) -> pgbackrest.StanzaInfo:
        [one] = pgbackrest.info(self.config.cluster[TARGET], target=TARGET)
        return one

    def labels(self, repository: int = 1) -> list[str]:
        return [one.label for one in self.stanza().backups if one.repository == repository]

    def folders(self, repository: int = 1) -> list[str]:
        """Name the sets whose files are there, whatever any list says."""
        home = self._repository(repository) / "backup" / self.live.stanza.name
        return sorted(each.name for each in home.iterdir() if each.is_dir() and each.name[0].isdigit())

    def wal(self, repository: int = 1) -> list[str]:
        """Name the segments that are there, of those that were there at first: the server writes on."""
        home = self._repository(repository)
        first = {each.name[:24] for each in (self.saved / home.name).rglob("archive/*/*/*/*-*.zst")}
        return sorted(first & {each.name[:24] for each in home.rglob("archive/*/*/*/*-*.zst")})

    def _repository(self, number: int) -> Path:
        return self.live.stanza.home / ("repo" if number == 1 else f"repo{number}")

    def set_folder(self, label: str, repository: int = 1) -> Path:
        return self._repository(repository) / "backup" / self.live.stanza.name / label

    def starts(self) -> dict[str, str]:
        """Tell the first segment of each set."""
        return {one.label: one.wal_start or "" for one in self.stanza().backups}

    def verified(self) -> str:
        """What the bare tool finds wrong: nothing."""
        done = self.live.pgbackrest("verify", "--output=text", "--log-level-console=off")
        return done.out.decode()

    def expire(self, now: datetime, *, steps: int | None = None) -> tuple[list[str], list[Finding]]:
        """Plan and do it, or only its first steps; return the steps' ids, and all that was found."""
        met: list[Finding] = []
        told: dict[str, Any] = {}
        with ready.expire(self.config, TARGET, self.live.run("backup expire"), now=now, met=met, told=told) as opened:
            chosen = opened.plan.steps[:steps]
            for step in chosen:
                opened.apply(step)
            return [step.id for step in chosen], [*opened.findings, *met]


@contextmanager
def shelf(folder: Path) -> Generator[Shelf]:
    """Make the cluster and its backups; WAL goes on for a segment behind each."""
    folder.mkdir()
    folder.chmod(0o711)
    with clustering.under_backup(folder) as live:
        conf = live.stanza.config
        account.make_folder(live.stanza.home / "repo2")
        second = f"repo2-path={live.stanza.home / 'repo2'}\n"
        account.write_file(conf, conf.read_text().replace("[main]", f"{second}{_HOSTILE}[main]"))
        live.pgbackrest("stanza-create")
        live.quiet()
        moments: list[datetime] = []
        for number, kinds in CHAINS.items():
            for kind in kinds:
                moments.append(live.keep(f"{number} {kind}"))
                live.pgbackrest("backup", f"--type={kind}", f"--repo={number}", "--no-expire-auto")
                live.switch()
        [stanza] = pgbackrest.info(live.config.cluster[TARGET], target=TARGET)
        made = {n: tuple(one.label for one in stanza.backups if one.repository == n) for n in CHAINS}
        saved = folder / "saved"
        saved.mkdir()
        for name in ("repo", "repo2"):
            subprocess.run(["cp", "-a", live.stanza.home / name, saved / name], check=True)
        yield Shelf(live, made, tuple(moments), saved)
