"""Cosmos DB, AI Search and the vault in the configuration; addresses that lead nowhere; `~` in paths."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from dbops.config import addresses, references
from dbops.config.fields import SecretFile
from dbops.config.load import load
from dbops.errors import ConfigInvalid

Write = Callable[..., Path]
PLATFORM = '[platform]\nname = "x"\n'


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def written(text: str, *, platform: str = PLATFORM) -> Path:
        path = tmp_path / "dbops.toml"
        path.write_text(platform + text, encoding="utf-8")
        return path

    return written


def problems(path: Path) -> str:
    with pytest.raises(ConfigInvalid) as told:
        load(path)
    return told.value.message


@pytest.mark.parametrize("section", ["cosmos", "search"])
def test_the_names_of_azure_targets_are_unique_over_all_sections(write: Write, section: str) -> None:
    told = problems(write(f'[redis.one]\nurl = "redis://h"\n[{section}.one]\nendpoint = "https://h"\n'))
    assert f"{section}.one: redis.one has this name already" in told


def test_no_target_has_the_name_of_the_vault(write: Write) -> None:
    told = problems(write('[redis.vault]\nurl = "redis://h"\n[vault]\nurl = "file:///v"\n'))
    assert "redis.vault: the vault itself goes by this name" in told


def test_a_name_of_a_second_copy_is_a_target_name(write: Write) -> None:
    told = problems(write('[vault]\nurl = "file:///v"\n[vault.copies."../x"]\nurl = "file:///w"\n'))
    assert 'vault.copies."../x": a copy\'s name is small letters' in told


def test_a_slip_in_an_azure_section_is_told_with_the_nearest_key(write: Write) -> None:
    told = problems(
        write(
            '[cosmos.w]\nendpont = "https://h"\ndatabase = "w"\n[search.s]\nendpoint = "https://h"\nkey = "abc"\n'
            '[vault]\nurl = "file:///v"\nrecipient = ["x"]\n[vault.copies.b]\nurl = "file:///w"\nmax_ago = "1h"\n'
        )
    )
    assert "cosmos.w.endpont: no such key; did you mean 'endpoint'?" in told
    assert "search.s.key: is a literal secret" in told
    assert "vault.recipient: no such key; did you mean 'recipients'?" in told
    assert "vault.copies.b.max_ago: no such key; did you mean 'max_age'?" in told


def test_every_secret_of_azure_targets_and_the_vault_is_tried(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "something-secret")
    config = load(
        write(
            """
            [redis.r]
            url = "redis://h"
            username = "${NOT_U}"
            [cosmos.w]
            endpoint = "https://${NOT_A}"
            database = "${NOT_D}"
            key = "${HERE}"
            [search.s]
            endpoint = "https://h"
            key = { file = "nowhere" }
            [vault]
            url = "azure://${NOT_B}/c"
            sas = "${NOT_C}"
            identity = { file = "age" }
            [vault.copies.b]
            url = "s3://b"
            key_id = "${NOT_E}"
            key = "${NOT_F}"
            """
        )
    ).config
    tried = {(one.target, one.key): one.state for one in references.tried(config)}
    assert tried == {
        ("r", "redis.r.username"): "missing",
        ("w", "cosmos.w.endpoint"): "missing",
        ("w", "cosmos.w.database"): "missing",
        ("w", "cosmos.w.key"): "ok",
        ("s", "search.s.key"): "missing",
        ("vault", "vault.url"): "missing",
        ("vault", "vault.sas"): "missing",
        ("vault", "vault.identity"): "missing",
        ("vault", "vault.copies.b.key_id"): "missing",
        ("vault", "vault.copies.b.key"): "missing",
    }


def test_a_key_from_the_environment_is_no_path(write: Write) -> None:
    config = load(write('[search.s]\nendpoint = "https://h"\nkey = "${SEARCH_KEY}"\n')).config
    assert config.search["s"].key == "${SEARCH_KEY}"


def test_a_tilde_is_the_home_of_who_runs_dbops(write: Write, tmp_path: Path) -> None:
    loaded = load(
        write(
            '[search.s]\nendpoint = "https://h"\nkey = { file = "~/key" }\nroot_cert = "ca.pem"\n',
            platform='[platform]\nname = "x"\nstate_dir = "~/state"\n',
        )
    )
    assert loaded.config.search["s"].key == SecretFile(file=tmp_path / "home/key")
    assert loaded.config.search["s"].root_cert == tmp_path / "ca.pem"
    assert loaded.state_dir == tmp_path / "home/state"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ('[cluster.m]\ndsn = "host=a dbname"', "cluster.m.dsn: has no '=' behind word 2"),
        ('[cluster.m]\ndsn = "hots=a"', "cluster.m.dsn: has no word 'hots'; did you mean 'host'?"),
        ('[cluster.m]\ndsn = "host=a application_name=\'x"', "cluster.m.dsn: holds a quote that does not end"),
        ('[cluster.m]\ndsn = "mysql://a/b"', "cluster.m.dsn: is no connection string"),
        ('[redis.r]\nurl = "cache.internal:6379"', "redis.r.url: is no URL of the kind redis://, rediss://, unix://"),
        ('[redis.r]\nurl = "redsi://h"', "; did you mean 'redis'?"),
        ('[search.s]\nendpoint = "products"', "search.s.endpoint: is no URL of the kind https://, http://"),
        ('[search.s]\nendpoint = "http://h"', "search.s.endpoint: without a key it has to be https"),
        ('[vault]\nurl = "/backups"', "vault.url: is no URL of the kind file://, azure://, s3://"),
        ('[vault]\nurl = "file:///v"\n[vault.copies.b]\nurl = "s3://"', "vault.copies.b.url: leads nowhere"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_before_anything_is_tried(write: Write, place: str, told: str) -> None:
    assert told in problems(write(f"{place}\n"))


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "${WHOLE}",
        "host=a user=b dbname=c",
        "host = a  user= b",
        "host=/tmp/x options='-c search_path=a\\'b' password=${SECRET}",
        "postgresql://u:${P}@h:5432/d?sslmode=require",
        "host=a tcp_user_timeout=3 sslnegotiation=direct",
        r"host=a\ b user=o'neill password=",
    ],
)
def test_a_good_connection_string_is_no_problem(dsn: str) -> None:
    assert list(addresses.problems({"cluster": {"m": {"dsn": dsn}}})) == []


def test_the_rest_of_a_password_with_a_space_in_it_stays_untold(write: Write) -> None:
    told = problems(write('[cluster.m]\ndsn = "host=a password=correct horse battery"\n'))
    assert "holds a literal password" in told
    assert "has no '=' behind word 3" in told
    assert "horse" not in told


_PART = st.sampled_from(["host", "=", " ", "'", "\\", "a", "${X}", "dbname=b", "'c d'", "\t", "port=1"])


@given(st.lists(_PART, max_size=12).map("".join))
def test_what_libpq_reads_is_no_problem_and_what_it_does_not_is_one(dsn: str) -> None:
    told = list(addresses.problems({"cluster": {"m": {"dsn": dsn}}}))
    assert bool(told) == (_refusal(dsn) is not None) or "invalid connection option" in str(_refusal(dsn))


def _refusal(dsn: str) -> str | None:
    if dsn.strip().startswith("${X}"):
        return None  # a variable may stand for anything
    try:
        conninfo_to_dict(dsn.replace("${X}", "x"))
    except ProgrammingError as error:
        return str(error)
    return None
