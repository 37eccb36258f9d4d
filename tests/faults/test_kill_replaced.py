"""kill -9 anywhere while a table replaces another: exchanged and back, put away and back. The next run goes on."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from dbops.operations.migrate import record
from dbops.operations.migrate.life import State
from dbops.operations.migrate.shapes.replaced import Replaced

import changing
import contracting
from killing import Zygote, kills, moment
from migrating import catalog_of
from replacing import different

Record = Callable[[str, object], None]
_CHAIN = 6
_CHANGE = "rooms-v2"
_SHAPE = """
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.replaced import Replaced

change = "rooms-v2"
phase = "expand"
impact = "none"
shape = Replaced(
    table="public.rooms", by="public.rooms_v2", key=("id",), same=("size", "doc", "house"), as_written=("doc",),
    create="CREATE TABLE public.rooms_v2 (LIKE public.rooms INCLUDING ALL)",
)
"""
_UP = """def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
"""
_WORLD = (
    "CREATE TABLE houses (id int PRIMARY KEY)",
    "CREATE TABLE rooms (id serial PRIMARY KEY, size int, doc json, house int REFERENCES houses)",
    "CREATE TABLE things (room int NOT NULL REFERENCES rooms ON DELETE CASCADE)",
    "CREATE VIEW large AS SELECT id FROM rooms WHERE size > 5",
    "CREATE MATERIALIZED VIEW sizes AS SELECT sum(size) AS size FROM rooms",
    "INSERT INTO houses VALUES (1)",
    "INSERT INTO rooms (size, doc, house) SELECT n, '{ }', 1 FROM generate_series(1, 200) n",
    "INSERT INTO things SELECT generate_series(1, 200)",
)


_REPLACED = Replaced(
    table="public.rooms", by="public.rooms_v2", create="", key=("id",), same=("size", "doc"), as_written=("doc",)
)
_UNLOOKED = contracting.through("soak", "statements", "clients", "backup", "rehearsal")


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        body = "".join(f"    op.execute({text!r})\n" for text in _WORLD)
        example.revision(1, f"def upgrade() -> None:\n{body}\n\ndef downgrade() -> None:\n    pass\n")
        example.revision(2, _UP, head=_SHAPE)
        yield example


def state(live: changing.Example) -> State:
    with live.connect() as connection:
        return record.read(connection, target=changing.TARGET)[_CHANGE].state


def prepared(live: changing.Example, zygote: Zygote) -> tuple[str | Path, ...]:
    """Bring it to where names can be exchanged; return the options that all verbs share."""
    asked = ("-t", changing.TARGET, "--lock-wait", "20s", "--config", live.toml)
    zygote.finished("migrate", "up", "--yes", *asked)
    zygote.finished("migrate", "backfill", _CHANGE, *asked)
    zygote.finished("migrate", "verify", _CHANGE, *asked)
    return asked


def test_names_are_exchanged_once_however_often_it_was_killed(
    live: changing.Example, zygote: Zygote, record_property: Record
) -> None:
    asked = prepared(live, zygote)
    switch = ("migrate", "switch", _CHANGE, "--percent", "100", "--yes", *asked)
    back = ("migrate", "rollback", _CHANGE, "--yes", *asked)
    ways = ((switch, State.SWITCHED, _REPLACED.after_swap()), (back, State.VERIFIED, _REPLACED))
    clean: dict[State, tuple[float, object]] = {}
    for words, wanted, _ in ways:
        ended = zygote.run(*words)
        assert ended.code in {0, 3}, ended.err  # 3: nobody counts statements here
        assert state(live) is wanted
        clean[wanted] = (ended.seconds, catalog_of(live.admin, comments=True))
    done = 0
    while done < kills(40):
        for words, wanted, compared in ways:
            seconds, expected = clean[wanted]
            for _ in range(_CHAIN):
                ended = zygote.run(*words, kill_after=moment(seconds * 1.4))
                assert ended.killed or ended.code in {0, 3}, ended.err
                done += ended.killed
                contracting.quiet(live)
                if state(live) is wanted:  # another rollback would take the table back
                    break
            else:
                assert zygote.run(*words).code in {0, 3}
            assert state(live) is wanted
            assert catalog_of(live.admin, comments=True) == expected
            with live.connect() as connection:
                assert different(connection, compared) == []
    record_property("kills", f"exchange of names: {done} kills, a clean switch takes {clean[State.SWITCHED][0]:.2f} s")


def test_what_is_put_away_comes_back_with_what_was_written_however_often_it_was_killed(
    live: changing.Example, zygote: Zygote, record_property: Record
) -> None:
    asked = prepared(live, zygote)
    assert zygote.run("migrate", "switch", _CHANGE, "--percent", "100", "--yes", *asked).code in {0, 3}
    zygote.finished("migrate", "verify", _CHANGE, *asked)
    contract = ("migrate", "contract", _CHANGE, *_UNLOOKED, *asked)
    zygote.finished(*contract, "--write")
    back = ("migrate", "down", "--to", "2026_01_01_0002", "--yes", *asked)
    ways = (((*contract, "--yes"), State.CONTRACTED), (back, State.SWITCHED))
    clean = {wanted: (zygote.finished(*words).seconds, catalog_of(live.admin)) for words, wanted in ways}
    done = 0
    while done < kills(12):
        zygote.finished("migrate", "verify", _CHANGE, *asked)
        for words, wanted in ways:
            seconds, expected = clean[wanted]
            for _ in range(_CHAIN):
                ended = zygote.run(*words, kill_after=moment(seconds * 1.4))
                assert ended.killed or ended.code == 0, ended.err
                done += ended.killed
                contracting.quiet(live)
                assert live.execute("SELECT count(*) FROM rooms") == [(200,)]
                if state(live) is wanted:
                    break
            else:
                zygote.finished(*words)
            assert state(live) is wanted
            assert catalog_of(live.admin) == expected
            live.execute("UPDATE rooms SET doc = '{  }', size = size + 1 WHERE id % 3 = 0")
            live.execute("DELETE FROM rooms WHERE id = (SELECT min(id) FROM rooms)")
            live.execute("INSERT INTO rooms (size, house) VALUES (1, 1)")
        with live.connect() as connection:
            assert different(connection, _REPLACED.after_swap()) == []
    record_property("kills", f"a replaced table put away and back: {done} kills")
