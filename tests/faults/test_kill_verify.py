"""kill -9 anywhere in `backup verify`: the next run is clean, nothing holds a lock, and the repository is untouched."""

import json
from collections.abc import Callable
from hashlib import sha256

from dbops.stores import pgbackrest

from clustering import TARGET
from killing import Zygote, kills, moment
from proving import Proving


def _content(proof: Proving) -> str:
    files = [each for number in (1, 2) for each in proof.files(number)]
    return sha256(b"".join(str(each).encode() + each.read_bytes() for each in files)).hexdigest()


def test_the_run_after_a_killed_one_finds_everything_whole(
    proven: Proving, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    verify = ("backup", "verify", "--config", proven.live.toml, "--output", "json")
    proven.reset()
    clean = zygote.finished(*verify)
    before = _content(proven)
    done, round_ = 0, 0
    while done < kills(60):
        more = (("--subset", "1/2"), (), ("--since-last",))[round_ % 3]
        round_ += 1
        ended = zygote.run(*verify, *more, kill_after=moment(clean.seconds))
        assert ended.killed or ended.code == 0, ended.err
        done += ended.killed
        if round_ % 5 == 0:
            assert json.loads(zygote.finished(*verify).out)["data"]["verdict"] == "good"
    told = json.loads(zygote.finished(*verify).out)
    assert told["data"]["verdict"] == "good"
    assert _content(proven) == before
    assert proven.live.pgbackrest("verify", "--repo=1", "--output=text", "--log-level-console=off").out == b""
    [stanza] = pgbackrest.info(proven.live.config.cluster[TARGET], target=TARGET)
    assert not stanza.backup_running
    proven.live.pgbackrest("expire", "--repo1-retention-full=9999999", "--repo2-retention-full=9999999", "--dry-run")
    record_property("kills", f"backup verify: {done} kills, a clean run takes {clean.seconds:.2f} s")
