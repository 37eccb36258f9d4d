"""`dbops config check`, through the installed program: what it finds before anything is tried."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Dbops = Callable[..., CompletedProcess[str]]
_HEAD = '[platform]\nname = "x"\n'


@pytest.mark.parametrize("command", [("config", "check"), ("status",)], ids=" ".join)
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ('[cluster.m]\ndsn = "hots=a"', "did you mean 'host'?"),
        ('[cluster.m]\ndsn = "host=a application_name=\'x"', "a quote that does not end"),
        ('[redis.c]\nurl = "cache:6379"', "is no URL of the kind redis://"),
        ('[cosmos.w]\nendpoint = "http://h"\ndatabase = "d"', "without a key it has to be https"),
    ],
)
def test_an_address_that_leads_nowhere_is_8_for_every_command(
    dbops: Dbops, folder: Path, command: tuple[str, ...], place: str, told: str
) -> None:
    (folder / "dbops.toml").write_text(f"{_HEAD}{place}\n")
    done = dbops(*command)
    assert done.returncode == 8
    assert told in done.stderr


def test_a_connection_string_that_only_libpq_refuses_is_8_too(dbops: Dbops, folder: Path) -> None:
    (folder / "dbops.toml").write_text(f'{_HEAD}[cluster.m]\ndsn = "postgresql://h/d?nosuch=1"\n')
    assert dbops("config", "check").returncode == 0
    done = dbops("status")
    assert done.returncode == 8
    assert "nosuch" in done.stderr


def test_the_secrets_of_azure_targets_and_the_vault_are_tried(dbops: Dbops, folder: Path) -> None:
    (folder / "dbops.toml").write_text(f"""{_HEAD}
[cosmos.w]
endpoint = "https://w.documents.azure.com"
database = "w"
key = "${{W_KEY}}"
[vault]
url = "file:///nowhere"
identity = {{ file = "age" }}
""")
    done = dbops("config", "check", env={"W_KEY": "c2VjcmV0LW9mLXc="})
    assert done.returncode == 8
    assert "vault.identity" in done.stdout
    assert "cosmos.w.key" in done.stdout
    assert "c2VjcmV0LW9mLXc=" not in done.stdout + done.stderr
