"""Rows for which the statement fails are found, named by their keys, and tried again first; the others are filled."""

from pathlib import Path

import pytest

from dbops.errors import DbopsError
from dbops.operations.migrate.backfill.walk import BackfillFailed
from dbops.operations.migrate.life import State

import filling

THINGS = """
    CREATE TABLE things (kind text, id int, a text, b int CONSTRAINT not_thirteen CHECK (b <> 13),
                         PRIMARY KEY (kind, id));
    INSERT INTO things SELECT 'k' || n % 2, n, n::text FROM generate_series(1001, 4000) n;
    UPDATE things SET a = 'secret ' || id WHERE id IN (1001, 2500, 2501, 4000);
    UPDATE things SET a = '13' WHERE id = 3333;"""
FILL = "UPDATE things AS r SET b = (r.a::int) WHERE {rows} AND r.b IS DISTINCT FROM (r.a::int)"
REST = "SELECT count(*)::int FROM things WHERE b IS NULL"


def test_rows_that_cannot_be_filled_are_set_aside_and_tried_first_by_the_next_run(server: str, folder: Path) -> None:
    with filling.change(server, folder, THINGS, statement=FILL) as change:
        with pytest.raises(BackfillFailed) as failed:
            change.fill()
        assert "5 rows could not be filled" in failed.value.message
        assert '["k1", "1001"]: 22P02 InvalidTextRepresentation' in failed.value.message
        assert '["k1", "3333"]: 23514 CheckViolation, constraint not_thirteen' in failed.value.message
        assert change.ask(REST) == 5
        assert change.life.state is State.FAILED
        assert change.jobs("sum(rows_seen)::int, sum(rows_changed)::int") == [(3000, 2995)]

        change.live.execute("UPDATE things SET a = '1' WHERE id IN (1001, 2500, 2501)")
        with pytest.raises(BackfillFailed, match="2 rows could not be filled"):
            change.fill()
        assert change.ask(REST) == 2
        change.live.execute("UPDATE things SET a = '2' WHERE id = 4000; DELETE FROM things WHERE id = 3333")
        assert change.fill() == []
        assert change.ask(REST) == 0
        assert change.life.state is State.BACKFILLED
        assert change.jobs("sum(rows_changed)::int") == [(2999,)]
        told = change.ask("SELECT string_agg(e.detail::text, ' ') FROM dbops.entries e")
        assert "secret" not in told
        assert "secret" not in "".join(file.read_text() for file in change.live.folder.glob("state/journal/*"))


def test_too_many_rows_that_cannot_be_filled_end_it_soon(server: str, folder: Path) -> None:
    broken = THINGS + "UPDATE things SET a = 'x'"
    with filling.change(server, folder, broken, statement=FILL) as change:
        with pytest.raises(BackfillFailed, match="11 rows could not be filled"):
            change.fill(most_set_aside=10)
        assert change.jobs("sum(rows_seen)::int") == [(11,)]
        assert change.life.state is State.FAILED


def test_a_statement_that_is_wrong_as_a_whole_changes_nothing(server: str, folder: Path) -> None:
    wrong = "UPDATE things AS r SET b = (r.missing) WHERE {rows}"
    with filling.change(server, folder, THINGS, statement=wrong) as change:
        with pytest.raises(DbopsError, match="missing does not exist"):
            change.fill()
        assert change.ask(REST) == 3000
        assert change.life.state is State.FAILED


def test_rows_of_a_table_without_a_key_are_set_aside_by_their_places(server: str, folder: Path) -> None:
    plain = THINGS.replace(",\n                         PRIMARY KEY (kind, id)", "")
    with filling.change(server, folder, plain, statement=FILL) as change:
        with pytest.raises(BackfillFailed, match="5 rows could not be filled"):
            change.fill()
        assert change.ask(REST) == 5
        change.live.execute("DELETE FROM things WHERE b IS NULL")
        assert change.fill() == []


def test_parts_do_not_go_on_for_hours_once_one_has_failed(server: str, folder: Path) -> None:
    poisoned = THINGS + "UPDATE things SET a = 'x' WHERE (kind, id) = (SELECT min(kind), min(id) FROM things)"
    with filling.change(server, folder, poisoned, statement=FILL) as change:
        change.live.execute("UPDATE things SET a = 'x' WHERE kind = 'k0' AND id = 1002")
        change.control(rows_per_s=10)  # one of the parts would take more than a minute
        with pytest.raises(BackfillFailed, match="1 row could not be filled"):
            change.fill(jobs=2, most_set_aside=0)
        assert change.ask("SELECT count(b)::int FROM things") < 300
