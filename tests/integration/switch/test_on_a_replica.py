"""Comparisons read a standby that has come to where the primary was; baselines are taken on each server."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.config.load import load
from dbops.engine import clock
from dbops.errors import CouldNotVerify, Refused, UsageError
from dbops.operations.migrate import open_changes, record
from dbops.operations.migrate.compare.ready import How
from dbops.operations.migrate.contract import check
from dbops.operations.migrate.contract.facts import Backups, Gate, Passed
from dbops.operations.migrate.contract.observe import observe
from dbops.servers import postgres as pg

import changing
import contracting
import renaming
import standing_by


@pytest.fixture(scope="module")
def follower(counting: str, base: Path) -> Generator[str]:
    """A standby of the counting server: the conninfo of its superuser."""
    password = str(conninfo_to_dict(counting)["password"])
    counts = (("shared_preload_libraries", "pg_stat_statements"), ("compute_query_id", "on"))
    with standing_by.standby(counting, base / "follower", password, settings=counts) as live:
        yield pg.conninfo(live, password=password)


@pytest.fixture
def live(counting: str, follower: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(counting, folder) as example:
        configure(example, follower)
        renaming.write(example)
        renaming.upgrade(example)
        renaming.rows(example, 1000)
        standing_by.catch_up(counting, follower)
        yield example


def configure(live: changing.Example, replica: str) -> None:
    """Name a server as replica of the example."""
    where = conninfo_to_dict(replica)
    told = {**conninfo_to_dict(live.owner), "host": where["host"], "port": where["port"]}
    del told["password"]
    text = live.toml.read_text(encoding="utf-8")
    live.toml.write_text(f"{text}replicas = ['''{make_conninfo('', **told)}''']\n", encoding="utf-8")


def paused(follower: str, *, pause: bool) -> None:
    with psycopg.connect(follower, autocommit=True) as standby:
        standby.execute(f"SELECT pg_wal_replay_{'pause' if pause else 'resume'}()".encode())


def test_the_replica_is_read_once_it_has_reached_what_the_primary_knew(live: changing.Example, follower: str) -> None:
    code, outcomes, _ = renaming.verify(live)
    assert (code, [one.rows for one in outcomes]) == (0, [1000, 1000])
    with live.connect() as connection:
        proof = renaming.known(live).evidence("compared", record.here(connection))
    assert proof is not None
    assert proof.detail["on"] == "replica 1"
    paused(follower, pause=True)
    try:
        live.execute("INSERT INTO users VALUES (5000, 'unseen by the replica')")
        with pytest.raises(CouldNotVerify, match="replica 1 has not reached") as caught:
            renaming.verify(live, how=How(patience=timedelta(0)))
        assert "--on primary" in str(caught.value.hint)
        assert [one.rows for one in renaming.verify(live, how=How(on="primary"))[1]] == [1001, 1001]
    finally:
        paused(follower, pause=False)
    assert [one.rows for one in renaming.verify(live)[1]] == [1001, 1001]


def test_the_baseline_is_taken_on_every_server(live: changing.Example) -> None:
    assert renaming.verify(live)[0] == 0
    renaming.switch(live)
    with live.connect() as connection:
        taken = renaming.known(live).evidence("baseline", record.here(connection))
    assert taken is not None
    servers = taken.detail["servers"]
    assert {name: "problem" in told for name, told in servers.items()} == {"primary": False, "replica 1": False}
    assert renaming.ids(renaming.switch(live)) == []


@pytest.fixture
def soaking(live: changing.Example) -> changing.Example:
    """The example, switched; whoever calls itself `shop 1...` is an old client, and three looks make a soak."""
    contracting.configure(live, "soak = '0s'", "old_clients = ['shop 1.*']")
    assert renaming.verify(live)[0] == 0
    renaming.switch(live)
    return live


def judged(live: changing.Example) -> Gate:
    """Look as `migrate contract` does; return what the gate of clients says."""
    run = live.run()
    with open_changes.at_work(live.config, live.toml, changing.TARGET, run, renaming.CHANGE) as work:
        return check.clients(observe(live.config, work, run, clock.now(), Backups()))


def test_an_old_client_that_only_reads_a_replica_is_seen(soaking: changing.Example, follower: str) -> None:
    assert judged(soaking).passed is Passed.YES
    where, app = conninfo_to_dict(follower), conninfo_to_dict(soaking.app)
    reader = make_conninfo("", **{**app, "host": where["host"], "port": where["port"]}, application_name="shop 1.4")
    with psycopg.connect(reader) as old:
        old.execute("SELECT name FROM users WHERE id = 1")
        seen = judged(soaking)
    assert (seen.passed, seen.evidence) == (Passed.NO, "old clients were connected: shop 1.*")
    [*_, kept] = contracting.entries(soaking, "clients")
    assert (kept["seen"], kept["servers"]) == ({"shop 1.*": 1}, ["primary", "replica 1"])


def test_who_reads_a_replica_that_is_out_of_reach_is_unknown(soaking: changing.Example, folder: Path) -> None:
    text = soaking.toml.read_text(encoding="utf-8")
    nowhere = make_conninfo("", host=str(folder), dbname="x", user="x")
    soaking.toml.write_text(text.replace("replicas = [", f"replicas = ['{nowhere}', "), encoding="utf-8")
    gate = judged(soaking)
    assert gate.passed is Passed.UNKNOWN
    assert gate.evidence.startswith("who is connected to replica 1 is not known: ")
    [kept] = contracting.entries(soaking, "clients")
    assert kept["servers"] == ["primary", "replica 2"]


def test_a_server_that_follows_somebody_else_is_refused(live: changing.Example, counting: str) -> None:
    text = live.toml.read_text(encoding="utf-8")
    live.toml.write_text(text[: text.rindex("replicas = ")], encoding="utf-8")
    configure(live, counting)
    with pytest.raises(Refused, match="replica 1 of example is no standby of its primary"):
        renaming.verify(live)
    with pytest.raises(UsageError, match="--on 'replica 2': the configuration has no such server") as caught:
        renaming.verify(live, how=How(on="replica 2"))
    assert "primary, replica 1" in str(caught.value.hint)
    assert load(live.toml).config.postgres[changing.TARGET].replicas
