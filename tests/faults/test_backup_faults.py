"""Every way in which a repository can be damaged is told in its own class, and none of them is green."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from conftest import fresh
from dbops.engine.finding import Severity, Verdict
from dbops.operations.clusters.prove.facts import Outcome
from dbops.servers import postgres
from dbops.stores import pgbackrest

import proving
from clustering import PASSWORD, TARGET
from proving import Proving, flip

ANY = tuple(range(256))
Damage = Callable[[Proving], object]


@pytest.fixture(scope="module")
def shared(base: Path) -> Generator[Proving]:
    with proving.proving(fresh(base, "prove-f")) as made:
        yield made


def _info(proof: Proving, which: str) -> Path:
    return proof.repo() / which / TARGET / f"{which}.info"


def _set(proof: Proving, nth: int = 0) -> Path:
    return proof.repo() / "backup" / TARGET / proof.labels()[nth]


def _both(path: Path) -> None:
    flip(path)
    flip(path.with_name(f"{path.name}.copy"))


def _without(path: Path) -> None:
    path.unlink()


def _starts(proof: Proving, nth: int) -> str:
    [stanza] = pgbackrest.info(proof.live.config.cluster[TARGET], target=TARGET)
    return [one for one in stanza.backups if one.repository == 1][nth].wal_start or ""


def _wrong_pass(proof: Proving) -> None:
    secret = proof.live.folder / "wrong"
    secret.write_text("not the pass at all")
    secret.chmod(0o600)
    proof.configure(repository={"2": {"cipher": {"file": str(secret)}}})


FAULTS: tuple[tuple[str, Damage, str, Verdict], ...] = (
    ("flipped byte in a bundle", lambda p: flip(_set(p) / "bundle" / "1"), "DBB308", Verdict.BAD),
    ("deleted bundle", lambda p: _without(_set(p) / "bundle" / "1"), "DBB307", Verdict.BAD),
    ("damaged manifest", lambda p: flip(_set(p) / "backup.manifest"), "DBB305", Verdict.BAD),
    ("damaged manifest and copy", lambda p: _both(_set(p) / "backup.manifest"), "DBB306", Verdict.BAD),
    ("damaged backup.info", lambda p: flip(_info(p, "backup")), "DBB303", Verdict.BAD),
    ("damaged backup.info and copy", lambda p: _both(_info(p, "backup")), "DBB304", Verdict.BAD),
    ("damaged archive.info and copy", lambda p: _both(_info(p, "archive")), "DBB304", Verdict.BAD),
    ("flipped byte in a WAL segment", lambda p: flip(p.segments()[-1]), "DBB313", Verdict.BAD),
    ("damaged head of the first WAL segment", lambda p: flip(p.segments()[0], 0), "DBB313", Verdict.BAD),
    ("missing WAL at the start of a backup", lambda p: _without(p.segment(_starts(p, 1))), "DBB310", Verdict.BAD),
    ("missing WAL in the middle", lambda p: _without(p.segments()[-2]), "DBB311", Verdict.BAD),
    ("deleted full of a chain", lambda p: _set(p).rename(p.live.folder / "away"), "DBB306", Verdict.BAD),
    ("wrong cipher pass", _wrong_pass, "DBB302", Verdict.COULD_NOT_VERIFY),
    ("repository gone", lambda p: p.repo().rename(p.live.folder / "gone"), "DBB301", Verdict.BAD),
)  # fmt: skip


def _verify_says(proof: Proving, number: int) -> str:
    done = proof.live.pgbackrest("verify", f"--repo={number}", "--output=text", "--log-level-console=off", ok=ANY)
    text = " ".join(done.out.decode("utf-8", "replace").split()).replace("stanza: main ", "")
    return f"exit {done.code}, {text[:80] or (done.err.splitlines() or ['nothing'])[0][:80]}"


def _check_says(proof: Proving) -> str:
    done = proof.live.pgbackrest("check", "--archive-timeout=1", ok=ANY)
    return f"exit {done.code}"


def _worst(outcome: Outcome) -> set[str]:
    return {one.code for one in outcome.findings if one.severity in (Severity.BAD, Severity.UNKNOWN)}


def _row(proof: Proving, name: str, outcome: Outcome, code: str, number: int = 1) -> str:
    exits = {Verdict.BAD: 4, Verdict.COULD_NOT_VERIFY: 5, Verdict.GOOD: 0}[outcome.verdict]
    return f"| {name} | backup verify: exit {exits}, {code} | {_verify_says(proof, number)} | {_check_says(proof)} |"


def test_no_damage_is_green(shared: Proving, record_property: Callable[[str, object], None]) -> None:
    rows: list[str] = []
    assert shared.verify().verdict is Verdict.GOOD
    for name, damage, code, verdict in FAULTS:
        shared.reset()
        damage(shared)
        outcome = shared.verify()
        assert outcome.verdict is verdict, (name, outcome.findings)
        assert code in _worst(outcome), (name, outcome.findings)
        rows.append(_row(shared, name, outcome, code, 2 if "pass" in name else 1))
    shared.reset()
    rows.append(_another_cluster(shared))
    rows.append(_broken_source(shared))
    for row in rows:
        record_property("fault rows", row)


def _another_cluster(proof: Proving) -> str:
    with postgres.running(postgres.Server(proof.live.folder / "other", durable=False), PASSWORD) as other:
        proof.configure(dsn=postgres.conninfo(other), data_directory=str(other.data))
        outcome = proof.verify()
        assert outcome.verdict is Verdict.BAD
        assert "DBB314" in _worst(outcome)
        return _row(proof, "another cluster behind the stanza", outcome, "DBB314")


def _broken_source(proof: Proving) -> str:
    proof.reset()
    with proof.live.connect() as connection:
        connection.execute("CREATE TABLE torn AS SELECT n FROM generate_series(1, 5000) n")
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT pg_relation_filepath('torn')").fetchone()
    assert row is not None
    flip(proof.live.server.data / row[0])
    proof.live.pgbackrest("backup", "--type=full", "--repo=1", "--no-expire-auto")
    outcome = proof.verify()
    assert outcome.verdict is Verdict.BAD
    assert "DBB315" in _worst(outcome)
    return _row(proof, "broken page in the source", outcome, "DBB315")
