"""A restore in place that would hit another cluster is refused before anything is touched."""

from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import fresh
from dbops.servers import postgres

import in_place
from clustering import PASSWORD, Cluster, under_backup, write_toml


@pytest.fixture(scope="module")
def made(base: Path) -> Generator[Cluster]:
    place = fresh(base, "refused")
    place.mkdir(mode=0o711)
    with under_backup(place) as cluster:
        cluster.keep("first")
        in_place.full(cluster)
        cluster.keep("second")
        cluster.switch()
        yield cluster


@pytest.fixture(scope="module")
def other(base: Path) -> Generator[postgres.Server]:
    with postgres.running(postgres.Server(fresh(base, "other"), durable=False), PASSWORD) as server:
        yield server


@pytest.fixture
def live(made: Cluster) -> Generator[Cluster]:
    conf = made.stanza.config.read_text()
    yield made
    made.stanza.config.write_text(conf)
    write_toml(made)
    assert made.notes() == ["first", "second"]
    assert not list(made.server.home.glob("*.before-*"))
    assert not (made.folder / "state" / "in-place").exists()


def retold(path: Path, old: object, new: object) -> None:
    text = path.read_text()
    assert str(old) in text
    path.write_text(text.replace(str(old), str(new)))


def refused(live: Cluster, *words: str) -> str:
    done = in_place.restore(live, "--latest", *words)
    assert done.code == 9, done.err
    return done.err


@pytest.mark.parametrize("more", [(), ("--delta",)])
def test_a_dsn_of_another_host(live: Cluster, other: postgres.Server, more: tuple[str, ...]) -> None:
    retold(live.toml, postgres.conninfo(live.server), postgres.conninfo(other))
    assert "is not the one in" in refused(live, *more)


def test_the_stanza_of_another_directory(live: Cluster, other: postgres.Server) -> None:
    retold(live.stanza.config, f"pg1-path={live.server.data}", f"pg1-path={other.data}")
    assert "stanza main is that of" in refused(live)


def test_the_stanza_of_another_cluster(live: Cluster, other: postgres.Server) -> None:
    retold(live.stanza.config, f"pg1-path={live.server.data}", f"pg1-path={other.data}")
    retold(live.toml, live.server.data, other.data)
    retold(live.toml, postgres.conninfo(live.server), postgres.conninfo(other))
    assert "holds another cluster than the one in" in refused(live)


def test_a_directory_that_two_clusters_name(live: Cluster) -> None:
    with live.toml.open("a") as file:
        file.write(f'[cluster.again]\ndsn = "host=elsewhere"\ndata_directory = "{live.server.data}"\n')
    assert "is the data directory of again, too" in refused(live, "--target", "main")


def test_what_another_cluster_names_within_the_data_directory(live: Cluster) -> None:
    with live.toml.open("a") as file:
        file.write(f'[cluster.again]\ndsn = "host=elsewhere"\ndata_directory = "{live.server.data}/base/1"\n')
    assert "contains" in refused(live, "--target", "main")
