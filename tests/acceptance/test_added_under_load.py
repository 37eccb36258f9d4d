"""Everything that is added to a table comes and goes while the table is read and written, and no client notices."""

import random
from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops
from dbops.operations.migrate import catalog

import adding
import changing
import loading
from loading import Ask, Client
from migrating import catalog_of


def _numbers(chance: random.Random) -> tuple[int, int]:
    return chance.randrange(1000), chance.randrange(1, 5000)


_WRITING = Client(
    "writing",
    (
        Ask("UPDATE things SET b = %s WHERE id = %s", _numbers),
        Ask("UPDATE owners SET name = name || '.' WHERE id = 1 + %s %% 50 AND %s > 0", _numbers),
    ),
    0.01,
)
_IN_PARTS = Client("in parts", (Ask("UPDATE parts SET a = %s::text WHERE id = %s", _numbers),), 0.01)
_READING = Client(
    "reading",
    (Ask("SELECT t.id, t.a, o.name FROM things t JOIN owners o ON o.id = t.owner WHERE t.b > %s LIMIT %s", _numbers),),
    0.01,
)


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        adding.everything(example)
        adding.run(example, to="2026_01_01_0001")
        yield example


def test_no_client_fails_while_everything_comes_and_goes(live: changing.Example, dbops: Dbops) -> None:
    before = catalog_of(live.admin)
    clients = (_WRITING, _IN_PARTS, _READING)
    long_read = "SELECT count(*) FROM things, owners"
    with loading.under_load(live.app, clients, long_read=long_read, long_read_s=0.3) as load:
        up = dbops("migrate", "up", "--yes", "--config", live.toml)
        assert up.returncode == 0, up.stderr
        load.more(5)
        live.execute("INSERT INTO things (id, owner, b, m) VALUES (0, 1, 4, 'calm')")
        assert live.execute("SELECT twice, fax FROM things WHERE id = 0") == [(8, "")]
        live.execute("DELETE FROM things WHERE id = 0")
        back = ("migrate", "down", "-t", changing.TARGET, "--to", "2026_01_01_0001", "--yes")
        down = dbops(*back, "--config", live.toml)
        assert down.returncode == 0, down.stderr
    assert load.failures == {}
    assert load.long_reads > 1
    assert set(catalog.difference(before, catalog_of(live.admin))) == {"enum mood"}  # a value stays
