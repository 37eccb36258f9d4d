"""pgBackRest beside a real cluster: what it knows, whom it runs as, how it fails."""

from pathlib import Path

import pytest

from dbops.config.load import load
from dbops.config.model import Cluster
from dbops.errors import ConfigInvalid, DbopsError
from dbops.servers import account
from dbops.stores import pgbackrest


@pytest.fixture
def main(platform: Path) -> Cluster:
    return load(platform / "dbops.toml").config.cluster["main"]


def test_a_fresh_stanza_has_archived_and_has_no_backup(main: Cluster) -> None:
    [stanza] = pgbackrest.info(main, target="main")
    assert stanza.status == pgbackrest.NO_BACKUPS
    assert stanza.archives[0].last is not None
    assert pgbackrest.newest([stanza]) is None


def test_nothing_that_it_writes_belongs_to_root(main: Cluster, platform: Path) -> None:
    pgbackrest.run(main, "check", target="main", timeout=60)
    owners = {entry.stat().st_uid for entry in (platform / "pgbackrest").rglob("*")}
    assert owners == {account.uid()}


def test_an_unknown_stanza_is_told_by_its_status(main: Cluster) -> None:
    [stanza] = pgbackrest.info(main.model_copy(update={"stanza": "another"}), target="main")
    assert stanza.status == pgbackrest.MISSING_PATH
    assert stanza.backups == ()


def test_a_wrong_option_is_a_matter_of_configuration_and_keeps_its_hint(main: Cluster) -> None:
    with pytest.raises(ConfigInvalid, match=r"\[031\]"):
        pgbackrest.run(main, "info", "--no-such-option", target="main", connects=False)
    with pytest.raises(DbopsError, match=r"\[\d{3}\]") as caught:
        pgbackrest.run(main.model_copy(update={"stanza": "another"}), "check", target="main", timeout=60)
    assert caught.value.target == "main"
