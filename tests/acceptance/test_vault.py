"""`dbops vault` through the installed program: what it tells, and with which exit code."""

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from vaults import configured, contents, put, whole

Dbops = Callable[..., CompletedProcess[str]]

pyrage: Any = import_module("pyrage")  # it tells no types


def told(done: CompletedProcess[str]) -> Any:
    """Read the envelope; its exit code is the process's own."""
    envelope = json.loads(done.stdout)
    assert envelope["exit_code"] == done.returncode, done.stderr
    return envelope


def codes(done: CompletedProcess[str]) -> set[str]:
    return {finding["code"] for finding in told(done)["findings"]}


@pytest.fixture
def here(folder: Path) -> Path:
    """A vault with two artifacts of `audit` and one of `orders`, and an empty second copy."""
    configured(folder, "far")
    (folder / "far").mkdir()
    put(folder / "near", day=1)
    put(folder / "near", day=2)
    put(folder / "near", target="orders", kind="export", day=3)
    return folder


def first_file(folder: Path, place: str = "near") -> Path:
    return folder / place / "postgres/audit/20260801T020000.000Z-dump/part-0.jsonl"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


# ── list and show ────────────────────────────────────────────────────────────────────────────────


def test_artifacts_are_listed_newest_first_with_size_age_and_state(dbops: Dbops, here: Path) -> None:
    data = told(dbops("vault", "list", "--output", "json"))["data"]
    assert [one["instant"][:10] for one in data["artifacts"]] == ["2026-08-03", "2026-08-02", "2026-08-01"]
    one = data["artifacts"][-1]
    assert (one["state"], one["files"], one["size_bytes"], one["copies"]) == ("complete", 2, 6000, [])
    assert one["age_s"] > 0
    [copy] = data["copies"]
    assert copy.pop("lag_s") > 0
    assert copy == {"name": "far", "reached": True, "artifacts": 0, "lacking": 3, "max_age_s": 21600.0}


def test_a_list_is_narrowed_by_store_target_and_kind(dbops: Dbops, here: Path) -> None:
    for narrow, many in (
        (("--target", "orders"), 1),
        (("--kind", "dump"), 2),
        (("--store", "redis"), 0),
        (("--target", "orders", "--kind", "dump"), 0),
    ):
        assert len(told(dbops("vault", "list", *narrow, "-o", "json"))["data"]["artifacts"]) == many, narrow


def test_a_person_is_shown_which_copies_hold_an_artifact(dbops: Dbops, here: Path) -> None:
    assert dbops("vault", "copy").returncode == 0
    listed = dbops("vault", "list")
    assert listed.returncode == 0
    rows = [line.split() for line in listed.stdout.splitlines() if line.startswith("postgres/")]
    assert [row[-2:] for row in rows] == [["far", "never"]] * 3
    assert "far: 3 artifacts" in listed.stdout


def test_what_is_under_construction_is_no_artifact_and_no_failure(dbops: Dbops, here: Path) -> None:
    put(here / "near", day=4, finished=False)
    listed = dbops("vault", "list", "-o", "json")
    assert listed.returncode == 0
    assert told(listed)["data"]["artifacts"][0]["state"] == "under construction"


@pytest.mark.parametrize("damage", ["missing", "truncated", "manifest"])
def test_a_broken_artifact_is_listed_and_told_as_bad(dbops: Dbops, here: Path, damage: str) -> None:
    path = first_file(here)
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:-1])
        case _:
            flip(path.with_name("manifest.json"))
    listed = dbops("vault", "list", "-o", "json")
    assert listed.returncode == 4
    assert codes(listed) >= {"DBV101"}
    assert [one["state"] for one in told(listed)["data"]["artifacts"]] == ["complete", "complete", "broken"]


def test_an_empty_vault_is_no_failure_and_a_missing_one_is(dbops: Dbops, folder: Path) -> None:
    configured(folder)
    assert dbops("vault", "list").stdout == "vault: 0 artifacts, 0 B\n"
    (folder / "near").rmdir()
    listed = dbops("vault", "list")
    assert listed.returncode == 75
    assert "mount the disk" in listed.stderr


def test_without_a_vault_in_the_configuration_there_is_nothing_to_list(dbops: Dbops, folder: Path) -> None:
    (folder / "dbops.toml").write_text('[platform]\nname = "x"\n')
    listed = dbops("vault", "list")
    assert listed.returncode == 8
    assert "[vault] url" in listed.stderr


def test_a_manifest_is_shown_whole_with_its_verifications(dbops: Dbops, here: Path) -> None:
    assert dbops("vault", "verify", "20260801").returncode == 0
    data = told(dbops("vault", "show", "20260801", "-o", "json"))["data"]
    written = json.loads(first_file(here).with_name("manifest.json").read_text())
    del written["seal"]
    assert data["manifest"] == written
    assert [(one["depth"], one["verdict"]) for one in data["verified"]] == [("stored", "good")]
    shown = dbops("vault", "show", "20260801").stdout
    assert all(word in shown for word in ("source: source 1", "part-1.jsonl", "rows 20", "stored"))


def test_a_name_that_leads_nowhere_or_to_many_is_refused(dbops: Dbops, here: Path) -> None:
    for name, message in (("nobody", "there is no artifact 'nobody'"), ("audit", "a part of 2 names")):
        shown = dbops("vault", "show", name)
        assert shown.returncode == 9
        assert message in shown.stderr


# ── verify ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("depth", ["listed", "stored", "content"])
def test_what_is_whole_is_good_at_every_depth_and_the_result_is_kept(dbops: Dbops, here: Path, depth: str) -> None:
    verified = dbops("vault", "verify", "--all", "--depth", depth, "-o", "json")
    assert verified.returncode == 0
    data = told(verified)["data"]
    assert data["verdict"] == "good"
    assert [one["read_bytes"] for one in data["artifacts"]] == [0 if depth == "listed" else 6000] * 3
    assert all((here / "near" / one["kept"]).is_file() for one in data["artifacts"])
    listed = told(dbops("vault", "list", "-o", "json"))["data"]["artifacts"]
    assert [(one["verified"]["depth"], one["verified"]["verdict"]) for one in listed] == [(depth, "good")] * 3
    journals = told(dbops("journal", "list", "-o", "json"))["data"]["journals"]
    assert [(one["target"], one["command"], one["outcome"]) for one in journals] == [("vault", "vault verify", "done")]


def test_a_flipped_byte_is_bad_where_bytes_are_read_and_stays_bad_in_the_list(dbops: Dbops, here: Path) -> None:
    flip(first_file(here))
    assert dbops("vault", "verify", "--all", "--depth", "listed").returncode == 0
    for depth in ("stored", "content"):
        verified = dbops("vault", "verify", "--all", "--depth", depth, "-o", "json")
        assert verified.returncode == 4
        assert [one["verdict"] for one in told(verified)["data"]["artifacts"]] == ["good", "good", "bad"]
    assert dbops("vault", "verify", "20260801", "--depth", "listed").returncode == 0
    listed = dbops("vault", "list", "-o", "json")
    assert listed.returncode == 4
    assert "DBV104" in codes(listed)


def test_after_all_slices_a_flipped_byte_was_met_once(dbops: Dbops, here: Path) -> None:
    flip(first_file(here))
    found = [dbops("vault", "verify", "20260801", "--subset", f"{n}/2").returncode for n in (1, 2)]
    assert sorted(found) == [0, 4]


def test_a_plan_tells_what_would_be_read_and_leaves_no_trace(dbops: Dbops, here: Path) -> None:
    before = contents(here)
    planned = told(dbops("vault", "verify", "--all", "--plan", "--subset", "1/3", "-o", "json"))["data"]
    assert (planned["read_bytes"], len(planned["artifacts"])) == (6000, 3)
    assert (
        told(dbops("vault", "verify", "--all", "--plan", "--depth", "listed", "-o", "json"))["data"]["read_bytes"] == 0
    )
    assert contents(here) == before


def test_nothing_to_verify_is_not_a_pass(dbops: Dbops, folder: Path) -> None:
    configured(folder)
    assert dbops("vault", "verify", "--all").returncode == 5
    put(folder / "near", finished=False)
    assert dbops("vault", "verify", "--all").returncode == 5
    assert dbops("vault", "verify", "audit").returncode == 5
    (folder / "near").rename(folder / "away")
    assert dbops("vault", "verify", "--newest").returncode == 5


@pytest.mark.parametrize(
    "words", [(), ("--all", "--newest"), ("x", "--all"), ("--all", "--subset", "0/3"), ("--all", "--subset", "x")]
)
def test_a_verification_that_is_not_well_asked_for_is_a_usage_error(
    dbops: Dbops, here: Path, words: tuple[str, ...]
) -> None:
    assert dbops("vault", "verify", *words).returncode == 2


def test_an_encrypted_artifact_is_good_for_its_identity_and_unknown_to_others(dbops: Dbops, folder: Path) -> None:
    mine, other = (pyrage.x25519.Identity.generate() for _ in range(2))
    configured(folder, extra='identity = "${IDENTITY}"')
    put(folder / "near", recipients=[str(mine.to_public())])
    verify = ("vault", "verify", "--all", "--depth")
    assert dbops(*verify, "content", env={"IDENTITY": str(mine)}).returncode == 0
    stranger = dbops(*verify, "content", env={"IDENTITY": str(other)})
    assert stranger.returncode == 5
    assert str(other) not in stranger.stdout + stranger.stderr
    assert dbops(*verify, "stored").returncode == 0  # which needs no identity
    configured(folder)
    assert dbops(*verify, "content").returncode == 5


# ── copy ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_copy_is_brought_up_to_the_vault_and_then_there_is_nothing_to_do(dbops: Dbops, here: Path) -> None:
    planned = told(dbops("vault", "copy", "--plan", "-o", "json"))
    assert len(planned["data"]["steps"]) == 3
    assert contents(here / "far") == {}
    assert dbops("vault", "copy").returncode == 0
    assert contents(here / "far") == contents(here / "near")
    again = told(dbops("vault", "copy", "-o", "json"))["data"]
    assert (again["steps"], again["plans"][0]["outcome"]) == ([], "nothing to do")


def test_a_copy_can_be_listed_and_verified_when_the_vault_is_lost(dbops: Dbops, here: Path) -> None:
    assert dbops("vault", "copy").returncode == 0
    (here / "near").rename(here / "lost")
    assert dbops("vault", "list").returncode == 75
    listed = told(dbops("vault", "list", "--place", "far", "-o", "json"))["data"]
    assert (listed["place"], len(listed["artifacts"])) == ("far", 3)
    assert dbops("vault", "verify", "--all", "--place", "far").returncode == 0
    assert dbops("vault", "show", "20260801", "--place", "far").returncode == 0


def test_an_artifact_that_differs_in_the_copy_is_bad_and_never_written_over(dbops: Dbops, here: Path) -> None:
    put(here / "far", day=1)
    before = contents(here / "far")
    copied = dbops("vault", "copy", "-o", "json")
    assert copied.returncode == 4
    assert codes(copied) == {"DBV103"}
    assert before.items() <= contents(here / "far").items()
    assert len(whole(here / "far")) == 3
    assert dbops("vault", "list").returncode == 4


def test_a_broken_source_is_never_copied_and_the_others_are(dbops: Dbops, here: Path) -> None:
    broken = "postgres/orders/20260803T020000.000Z-export/part-0.jsonl"  # the newest: its turn comes first
    flip(here / "near" / broken)
    copied = dbops("vault", "copy", "-o", "json")
    assert copied.returncode == 4
    assert f"{broken} is no longer what was written" in copied.stderr
    assert len(whole(here / "far")) == 2
    assert not (here / "far" / broken).exists()
    flip(here / "near" / broken)
    assert dbops("vault", "copy").returncode == 0
    assert len(whole(here / "far")) == 3


def test_an_unknown_copy_and_a_vault_without_copies_are_told(dbops: Dbops, here: Path) -> None:
    assert dbops("vault", "copy", "--to", "nobody").returncode == 2
    assert dbops("vault", "list", "--place", "nobody").returncode == 2
    configured(here)
    assert dbops("vault", "copy").returncode == 8


def test_a_plan_that_has_changed_since_it_was_agreed_to_is_refused(dbops: Dbops, here: Path) -> None:
    sha = told(dbops("vault", "copy", "--plan", "-o", "json"))["data"]["plans"][0]["sha"]
    put(here / "near", day=9)
    assert dbops("vault", "copy", "--expect-plan", sha).returncode == 9
    assert contents(here / "far") == {}


@pytest.mark.parametrize("inside", ["near", "near/copies", "link"])
def test_a_copy_inside_the_vault_is_no_second_copy(dbops: Dbops, here: Path, inside: str) -> None:
    (here / "near/copies").mkdir()
    (here / "link").symlink_to(here / "near")
    config = configured(here, "far")
    config.write_text(config.read_text().replace(f"file://{here}/far", f"file://{here}/{inside}"))
    before = contents(here / "near")
    assert dbops("vault", "copy").returncode == 8
    assert dbops("vault", "list").returncode == 8
    assert contents(here / "near") == before


def test_a_copy_that_lags_too_long_misses_its_objective_and_the_metrics_say_by_how_much(
    dbops: Dbops, here: Path
) -> None:
    written = here / "near/postgres/audit/20260801T020000.000Z-dump/manifest.json"
    os.utime(written, (0, 0))
    listed = dbops("vault", "list", "-o", "json", "--metrics-file", here / "dbops.prom")
    assert (listed.returncode, codes(listed)) == (6, {"DBV106"})
    lines = (here / "dbops.prom").read_text().splitlines()
    told = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if "copy_lag" in line}
    assert any(value == 6 * 3600 for value in told.values()), lines
    assert any(value > 10**9 for value in told.values()), lines


def test_help_of_every_verb_has_an_example(dbops: Dbops, folder: Path) -> None:
    for verb in ("list", "show", "verify", "copy"):
        shown = dbops("vault", verb, "--help")
        assert shown.returncode == 0
        assert f"$ dbops vault {verb}" in shown.stdout
