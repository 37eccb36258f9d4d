"""What verifications found is kept in the vault, and found again."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbops.config.model import Config, Platform, Vault
from dbops.engine.finding import Verdict
from dbops.engine.run import new
from dbops.operations.clusters import remembered
from dbops.operations.clusters.remembered import Depth, Remembered
from dbops.operations.vault import ready as vault

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
LABEL = "20261120-194802F"


def result(hours: int = 0, label: str | None = LABEL, depth: Depth = Depth.FULL, verdict: Verdict = Verdict.GOOD,
           subset: str | None = None) -> Remembered:  # fmt: skip
    at = NOW + timedelta(hours=hours)
    return Remembered("main", 1, label, depth, verdict, at, "run", subset, 7710342762953982607)


def config(folder: Path) -> Config:
    (folder / "vault").mkdir(exist_ok=True)
    return Config(platform=Platform(name="test"), vault=Vault(url=f"file://{folder / 'vault'}"))


def test_what_was_remembered_is_recalled_newest_first(tmp_path: Path) -> None:
    memory = remembered.memory(config(tmp_path), tmp_path)
    assert not memory.local
    wal = dataclasses.replace(result(1, None), stretches=(("15-1", "A", "B"),), witnessed={"x.history": "ab"})
    remembered.remember(memory.store, "main", new("t", tmp_path), [result(), wal])
    remembered.remember(memory.store, "main", new("t", tmp_path), [result(2, depth=Depth.QUICK)])
    remembered.remember(memory.store, "other", new("t", tmp_path), [dataclasses.replace(result(), target="other")])
    assert remembered.recall(memory.store, "main") == (result(2, depth=Depth.QUICK), wal, result())


def test_the_newest_verification_decides_however_deep_an_older_one_was_to_look(tmp_path: Path) -> None:
    store = remembered.memory(config(tmp_path), tmp_path).store
    unclear = result(1, depth=Depth.RESTORE, verdict=Verdict.COULD_NOT_VERIFY)
    remembered.remember(store, "main", new("t", tmp_path), [unclear])
    remembered.remember(store, "main", new("t", tmp_path), [result(2)])
    assert remembered.last(remembered.recall(store, "main"), repository=1, label=LABEL) == result(2)
    remembered.remember(store, "main", new("t", tmp_path), [dataclasses.replace(unclear, at=NOW + timedelta(hours=3))])
    stands = remembered.last(remembered.recall(store, "main"), repository=1, label=LABEL)
    assert stands is not None
    assert (stands.depth, stands.verdict) == (Depth.RESTORE, Verdict.COULD_NOT_VERIFY)


def test_an_altered_result_proves_nothing(tmp_path: Path) -> None:
    memory = remembered.memory(config(tmp_path), tmp_path)
    name = remembered.remember(memory.store, "main", new("t", tmp_path), [result(verdict=Verdict.BAD)])
    assert name is not None
    path = tmp_path / "vault" / name
    path.write_bytes(path.read_bytes().replace(b'"bad"', b'"good"'))
    assert remembered.recall(memory.store, "main") == ()


def test_the_vault_does_not_call_them_strangers(tmp_path: Path) -> None:
    of = config(tmp_path)
    remembered.remember(remembered.memory(of, tmp_path).store, "main", new("t", tmp_path), [result()])
    assert vault.looked_at(of, None, now=NOW).strangers.count == 0


def test_without_a_vault_this_host_remembers(tmp_path: Path) -> None:
    memory = remembered.memory(Config(platform=Platform(name="test")), tmp_path / "state")
    remembered.remember(memory.store, "main", new("t", tmp_path), [result()])
    assert memory.local
    assert remembered.recall(memory.store, "main") == (result(),)


def test_a_good_slice_does_not_stand_for_the_whole_and_a_bad_one_does() -> None:
    several = (result(3, subset="1/2"), result(2, depth=Depth.QUICK), result(1))
    assert remembered.last(several, repository=1, label=LABEL, at_least=Depth.FULL) == result(1)
    bad = result(4, subset="2/2", verdict=Verdict.BAD)
    assert remembered.last((bad, *several), repository=1, label=LABEL, at_least=Depth.FULL) == bad
    assert remembered.last(several, repository=2, label=LABEL) is None
