"""`dbops backup verify`, through the installed program, on real repositories."""

import json
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

from clustering import TARGET
from proving import Proving, flip

Dbops = Callable[..., CompletedProcess[str]]
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def proof(proven: Proving) -> Proving:
    proven.reset()
    return proven


@pytest.fixture
def verify(dbops: Dbops, proof: Proving) -> Ask:
    def ask(*words: str) -> tuple[int, dict[str, Any]]:
        done = dbops("backup", "verify", *words, "--config", proof.live.toml, "--output", "json")
        assert done.stdout, done.stderr
        envelope = json.loads(done.stdout)
        assert envelope["exit_code"] == done.returncode
        return done.returncode, envelope

    return ask


def test_whole_backups_are_good_and_the_list_shows_it(verify: Ask, dbops: Dbops, proof: Proving) -> None:
    code, told = verify("--target", TARGET)
    assert (code, told["data"]["verdict"]) == (0, "good")
    [cluster] = told["data"]["clusters"]
    assert {one["verdict"] for one in cluster["sets"]} == {"good"}
    assert (proof.live.folder / "vault" / cluster["kept"]).exists()
    listed = dbops("backup", "list", "--config", proof.live.toml)
    assert "full" in listed.stdout
    assert dbops("vault", "list", "--config", proof.live.toml).returncode == 0


def test_damage_is_exit_4_and_names_the_file(verify: Ask, proof: Proving) -> None:
    path = proof.repo() / "backup" / TARGET / proof.labels()[0] / "bundle" / "1"
    flip(path)
    code, told = verify()
    assert code == 4
    named = [one["message"] for one in told["findings"] if one["code"] == "DBB308"]
    assert any(f"{proof.labels()[0]}/bundle/1 is damaged" in message for message in named)


def test_a_wrong_pass_could_not_be_verified(verify: Ask, proof: Proving) -> None:
    secret = proof.live.folder / "wrong"
    secret.write_text("not the pass")
    secret.chmod(0o600)
    proof.configure(repository={"2": {"cipher": {"file": str(secret)}}})
    code, told = verify()
    assert code == 5
    assert {one["code"] for one in told["findings"] if one["severity"] == "unknown"} == {"DBB302"}


@pytest.mark.parametrize(
    "words",
    [
        ("--subset", "0/3"),
        ("--subset", "4/3"),
        ("--subset", "1/2", "--depth", "quick"),
        ("--depth", "deep"),
        ("--target", "nobody"),
        ("--set", "20200101-000000F"),
        ("--since-last", "--subset", "1/2"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(verify: Ask, words: tuple[str, ...]) -> None:
    assert verify(*words)[0] == 2


def test_a_cluster_without_a_backup_is_not_good(verify: Ask, proof: Proving) -> None:
    for number in (1, 2):
        proof.repo(number).rename(proof.live.folder / f"away-{number}")
    code, told = verify()
    assert code == 4
    assert {one["code"] for one in told["findings"]} >= {"DBB301"}


def test_without_a_vault_this_host_alone_remembers(verify: Ask, proof: Proving) -> None:
    text = proof.live.toml.read_text()
    proof.live.toml.write_text(text[: text.index("[vault]")])
    code, told = verify("--depth", "quick")
    assert code == 0
    assert "DBB321" in {one["code"] for one in told["findings"]}


def test_a_restore_proves_it(verify: Ask) -> None:
    code, told = verify("--depth", "restore")
    assert code == 0, told["findings"]
    [restored] = told["data"]["clusters"][0]["restored"]
    assert restored["verdict"] == "good"


def test_people_see_a_table_and_the_verdict(dbops: Dbops, proof: Proving) -> None:
    done = dbops("backup", "verify", "--depth", "quick", "--config", proof.live.toml)
    assert done.returncode == 0
    assert "main: good (quick" in done.stdout
    assert all(label in done.stdout for label in proof.labels())
