"""`dbops status` over Cosmos DB, AI Search and the vault, through the installed program."""

import json
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from azure.cosmos import CosmosClient, PartitionKey

from conftest import fresh
from dbops.engine import clock
from dbops.servers import emulator
from dbops.servers.emulator import Server

Dbops = Callable[..., CompletedProcess[str]]
Azure = tuple[Server, Server]
_KEY, _ADMIN, _QUERY = "YS1rZXktb2YtYWNjZXB0YW5jZQ==", "admin-key-of-acceptance", "query-key-of-acceptance"
_SECRETS = {"COSMOS_KEY": _KEY, "ADMIN_KEY": _ADMIN, "QUERY_KEY": _QUERY}


@pytest.fixture(scope="module")
def azure(base: Path) -> Generator[Azure]:
    cosmos = Server(fresh(base, "cosmos-of-status"), "cosmos", {"key": _KEY})
    search = Server(fresh(base, "search-of-status"), "search", {"key": _ADMIN, "query_key": _QUERY})
    with emulator.running(cosmos), emulator.running(search):
        with CosmosClient(emulator.url(cosmos), _KEY) as client:
            database = client.create_database("workflows")
            for name in ("runs", "steps"):
                database.create_container(name, PartitionKey(path="/ws"))
        yield cosmos, search


@pytest.fixture
def status(dbops: Dbops, folder: Path, azure: Azure) -> Callable[..., CompletedProcess[str]]:
    """Run status over a configuration: a table for each `name = body`."""
    (folder / "vault").mkdir()

    def run(*arguments: str, env: dict[str, str] | None = None, **tables: str) -> CompletedProcess[str]:
        cosmos, search = (emulator.url(server) for server in azure)
        written = '[platform]\nname = "x"\n'
        for name, body in tables.items():
            filled = (
                body.replace("<cosmos>", f'"{cosmos}"').replace("<search>", f'"{search}"').replace("HERE", str(folder))
            )
            written += f"[{name.replace('__', '.')}]\n{filled}\n"
        (folder / "dbops.toml").write_text(written)
        return dbops("status", *arguments, env=_SECRETS | (env or {}))

    return run


def told(done: CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    return {one["target"]: one for one in json.loads(done.stdout)["data"]["targets"]}


def codes(done: CompletedProcess[str]) -> list[tuple[str, str]]:
    return [(one["target"], one["code"]) for one in json.loads(done.stdout)["findings"]]


_WORKFLOWS = 'endpoint = <cosmos>\ndatabase = "workflows"\nkey = "${COSMOS_KEY}"'
_PRODUCTS = 'endpoint = <search>\nkey = "${ADMIN_KEY}"'
_VAULT = 'url = "file://HERE/vault"'


def kept(folder: Path, name: str, age: timedelta, *, complete: bool = True) -> None:
    """Let something lie in a vault that looks like an artifact from afar."""
    stamp = (clock.now() - age).strftime("%Y%m%dT%H%M%S.000Z")
    place = folder / f"{name}/{stamp}-full"
    place.mkdir(parents=True)
    (place / "data").write_bytes(b"x" * 1000)
    if complete:
        (place / "manifest.json").write_text("{}")


def test_each_store_of_azure_is_a_row(status: Callable[..., CompletedProcess[str]]) -> None:
    tables = {"cosmos__workflows": _WORKFLOWS, "search__products": _PRODUCTS, "vault": _VAULT}
    done = status(**tables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "3 of 3 targets answer" in done.stdout
    assert "Session; 1 region; 2 containers;" in done.stdout
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 100
    found = told(status("--output", "json", **tables))
    assert found["workflows"]["facts"]["containers"] == 2
    assert found["workflows"]["facts"]["charge"] > 0
    assert found["products"]["facts"]["indexes"] == 0
    assert found["products"]["facts"]["storage_quota_bytes"] > 0
    assert found["vault"]["facts"]["artifacts"] == 0


def test_a_query_key_is_enough_to_be_there(status: Callable[..., CompletedProcess[str]]) -> None:
    done = status("--output", "json", search__readers='endpoint = <search>\nkey = "${QUERY_KEY}"')
    assert done.returncode == 0
    assert told(done)["readers"]["facts"] == {"key": "query"}


@pytest.mark.parametrize(("name", "table"), [("cosmos__one", _WORKFLOWS), ("search__one", _PRODUCTS)])
def test_a_wrong_key_is_12_and_stays_untold(
    status: Callable[..., CompletedProcess[str]], name: str, table: str
) -> None:
    wrong = "bm90LXRoZS1rZXktYXQtYWxs"
    done = status("--output", "json", env={"COSMOS_KEY": wrong, "ADMIN_KEY": wrong}, **{name: table})
    assert done.returncode == 12
    assert told(done)["one"]["state"] == "auth"
    assert wrong not in done.stdout + done.stderr


def test_a_database_that_is_not_there_is_9(status: Callable[..., CompletedProcess[str]]) -> None:
    done = status("--output", "json", cosmos__one=_WORKFLOWS.replace('"workflows"', '"workflow"'))
    assert done.returncode == 9
    assert "did you mean 'workflows'?" in done.stdout


def test_nobody_at_an_address_is_a_row_and_the_others_are_told(status: Callable[..., CompletedProcess[str]]) -> None:
    gone = 'endpoint = "http://127.0.0.1:9"\nkey = "${ADMIN_KEY}"'
    done = status("--output", "json", cosmos__workflows=_WORKFLOWS, search__gone=gone)
    assert done.returncode == 75
    assert {name: one["state"] for name, one in told(done).items()} == {"workflows": "ok", "gone": "unreachable"}


def test_without_a_key_and_an_identity_it_is_12_in_one_line(status: Callable[..., CompletedProcess[str]]) -> None:
    done = status("--deadline", "20s", search__one='endpoint = "https://dbops.invalid"')
    assert done.returncode == 12
    assert "nobody could sign in" in done.stdout.replace("\n", " ")
    assert "troubleshoot" not in done.stdout + done.stderr


def test_a_throttled_account_is_75_within_the_deadline(
    status: Callable[..., CompletedProcess[str]], azure: Azure
) -> None:
    emulator.inject(
        azure[0], {"path": "/colls", "status": 429, "headers": {"x-ms-retry-after-ms": "60000"}, "times": -1}
    )
    done = status("--deadline", "20s", "--output", "json", cosmos__workflows=_WORKFLOWS)
    emulator.inject(azure[0])
    assert done.returncode == 75
    assert "throughput" in done.stdout


def test_an_old_backup_of_an_azure_store_is_6(status: Callable[..., CompletedProcess[str]], folder: Path) -> None:
    promised = '\nobjectives = { backup_age = "25h" }'
    tables = {"cosmos__workflows": _WORKFLOWS + promised, "search__products": _PRODUCTS + promised, "vault": _VAULT}
    kept(folder / "vault", "cosmos/workflows", timedelta(hours=30))
    kept(folder / "vault", "search/products", timedelta(hours=2))
    done = status("--output", "json", **tables)
    assert done.returncode == 6
    assert codes(done) == [("workflows", "backup-age")]
    kept(folder / "vault", "cosmos/workflows", timedelta(hours=1), complete=False)
    assert status("--output", "json", **tables).returncode == 6
    kept(folder / "vault", "cosmos/workflows", timedelta(hours=1, minutes=1))
    done = status("--output", "json", **tables)
    assert done.returncode == 0
    assert told(done)["vault"]["facts"]["artifacts"] == 3


def test_a_second_copy_that_lacks_what_the_vault_has_is_told(
    status: Callable[..., CompletedProcess[str]], folder: Path
) -> None:
    (folder / "second").mkdir()
    kept(folder / "vault", "cosmos/workflows", timedelta(hours=1))
    tables = {"vault": _VAULT, "vault__copies__away": 'url = "file://HERE/second"\nmax_age = "1ms"'}
    done = status("--output", "json", **tables)
    assert done.returncode == 6
    (away,) = told(done)["vault"]["facts"]["copies"]
    assert (away["copy"], away["state"], away["lacking"]) == ("away", "late", 1)
    gone = tables | {"vault__copies__away": 'url = "file://HERE/nowhere"'}
    done = status(**gone)
    assert done.returncode == 75
    assert "copy away unreachable" in " ".join(done.stdout.split())
    assert "1 of 1 targets answer" in done.stdout


def test_a_vault_that_is_not_there_is_no_pass(status: Callable[..., CompletedProcess[str]]) -> None:
    done = status("--output", "json", vault='url = "file://HERE/nowhere"')
    assert done.returncode == 75
    assert told(done)["vault"]["state"] == "unreachable"
