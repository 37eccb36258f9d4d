"""kill -9 anywhere in `migrate up` while indexes and constraints are added: the next run goes on from there."""

from collections.abc import Callable
from pathlib import Path

from dbops.operations.migrate import record
from dbops.operations.migrate.life import State

import adding
import changing
import contracting
from killing import Zygote, kills, moment
from migrating import catalog_of

_CHAIN = 8
Record = Callable[[str, object], None]


def test_what_is_added_in_pieces_is_whole_in_the_end_however_often_it_was_killed(
    server: str, folder: Path, zygote: Zygote, record_property: Record
) -> None:
    def up(live: changing.Example) -> tuple[str | Path, ...]:
        return ("migrate", "up", "--yes", "--lock-wait", "20s", "--config", live.toml)

    (folder / "clean").mkdir(mode=0o711)
    with changing.example(server, folder / "clean") as live:
        adding.everything(live)
        clean = zygote.finished(*up(live))
        expected = catalog_of(live.admin, comments=True)
    done = turns = 0
    while done < kills(40):
        place = folder / f"turn{turns}"
        place.mkdir(mode=0o711)
        with changing.example(server, place) as live:
            adding.everything(live)
            for _ in range(_CHAIN):
                ended = zygote.run(*up(live), kill_after=moment(clean.seconds * 1.2))
                assert ended.killed or ended.code == 0, ended.err
                done += ended.killed
            zygote.finished(*up(live))
            contracting.quiet(live)
            assert catalog_of(live.admin, comments=True) == expected
            assert live.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == []
            with live.connect() as connection:
                lives = record.read(connection, target=changing.TARGET)
            assert {one.state for one in lives.values()} == {State.EXPANDED}
            assert len(lives) == len(adding.SHAPES)
        turns += 1
    record_property("kills", f"migrate up of what is added: {done} kills, a clean run takes {clean.seconds:.2f} s")
