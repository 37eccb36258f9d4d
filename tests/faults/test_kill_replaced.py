"""kill -9 anywhere while two tables exchange their names, there and back: the next run goes on from there."""

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
    table="public.rooms", by="public.rooms_v2", key=("id",), same=("size",),
    create="CREATE TABLE public.rooms_v2 (LIKE public.rooms INCLUDING ALL)",
)
"""
_UP = """def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
"""
_WORLD = (
    "CREATE TABLE rooms (id serial PRIMARY KEY, size int)",
    "CREATE TABLE things (room int NOT NULL REFERENCES rooms ON DELETE CASCADE)",
    "CREATE VIEW large AS SELECT id FROM rooms WHERE size > 5",
    "CREATE MATERIALIZED VIEW sizes AS SELECT sum(size) AS size FROM rooms",
    "INSERT INTO rooms (size) SELECT generate_series(1, 200)",
    "INSERT INTO things SELECT generate_series(1, 200)",
)


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


def test_names_are_exchanged_once_however_often_it_was_killed(
    live: changing.Example, zygote: Zygote, record_property: Record
) -> None:
    asked = ("-t", changing.TARGET, "--lock-wait", "20s", "--config", live.toml)
    switch = ("migrate", "switch", _CHANGE, "--percent", "100", "--yes", *asked)
    back = ("migrate", "rollback", _CHANGE, "--yes", *asked)
    shape = Replaced(table="public.rooms", by="public.rooms_v2", create="", key=("id",), same=("size",))
    zygote.finished("migrate", "up", "--yes", *asked)
    zygote.finished("migrate", "backfill", _CHANGE, *asked)
    zygote.finished("migrate", "verify", _CHANGE, *asked)
    ways = ((switch, State.SWITCHED, shape.after_swap()), (back, State.VERIFIED, shape))
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
