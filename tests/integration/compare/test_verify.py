"""Old and new compared on a real server: alike, different, and what cannot be compared."""

from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.engine.run import Progress
from dbops.errors import Refused, Stopped, Unreachable
from dbops.operations.migrate import record
from dbops.operations.migrate.compare import ready, walk
from dbops.operations.migrate.compare.facts import COMPARED
from dbops.operations.migrate.life import State, Told

import changing
import renaming


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        renaming.write(example)
        renaming.upgrade(example)
        renaming.rows(example, 5000)
        yield example


def compared(live: changing.Example) -> Told:
    with live.connect() as connection:
        found = renaming.known(live).evidence(COMPARED, record.here(connection))
    assert found is not None
    return found


def disagree(live: changing.Example, *ids: int) -> None:
    """Make rows differ behind the back of the triggers."""
    with live.connect(live.admin) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE users SET full_name = 'secret ' || id WHERE id = ANY(%s)", (list(ids),))


def a_thousand(_size: int, _took_ms: float) -> int:
    return 1000


def test_rows_that_are_alike_verify_the_change_with_evidence(live: changing.Example) -> None:
    code, outcomes, _ = renaming.verify(live)
    assert (code, [(one.way, one.rows, one.differ) for one in outcomes]) == (
        0,
        [("forward", 5000, 0), ("back", 5000, 0)],
    )
    assert renaming.known(live).state is State.VERIFIED
    assert (compared(live).detail["clean"], compared(live).detail["on"]) == (True, "primary")


def test_rows_that_differ_are_named_by_their_key_alone(live: changing.Example) -> None:
    assert renaming.verify(live)[0] == 0
    disagree(live, 7, 4242)
    code, _, it = renaming.verify(live)
    assert (code, renaming.codes(it)) == (4, {"DBM401"})
    assert "id = 7; id = 4242" in it.met[0].message
    assert "secret" not in str(it.met)
    assert renaming.known(live).state is State.BACKFILLED, "what differs is verified no more"
    assert compared(live).detail["clean"] is False
    assert "4242" not in str(compared(live).detail)
    kept = live.execute("SELECT key, reason FROM dbops.set_aside ORDER BY 1")
    assert kept == [(["4242"], "differs"), (["4242"], "differs"), (["7"], "differs"), (["7"], "differs")]
    live.execute("UPDATE users SET name = name || ' '")
    assert renaming.verify(live)[0] == 0, "mended by a write"


def test_a_thousand_keys_are_kept_and_twenty_are_shown(live: changing.Example) -> None:
    disagree(live, *range(1, 3001))
    code, outcomes, it = renaming.verify(live)
    assert (code, [one.differ for one in outcomes]) == (4, [3000, 3000])
    assert [row[0] for row in live.execute("SELECT count(*) FROM dbops.set_aside GROUP BY job")] == [1000, 1000]
    assert it.met[0].message.count("id = ") == 20


def test_a_row_that_no_expression_stands_is_set_aside_and_the_others_are_compared(live: changing.Example) -> None:
    renaming.write(live, up="(CASE WHEN r.id = 4999 THEN (r.name || 'x')::int::text ELSE r.name END)")
    code, (forward, back), it = renaming.verify(live)
    assert (code, forward.rows, forward.unreadable, back.unreadable) == (5, 5000, 1, 0)
    assert "id = 4999, could not be compared (InvalidTextRepresentation)" in it.met[0].message
    assert "name 4999" not in str(it.met)
    assert renaming.known(live).state is State.EXPANDED


def test_a_function_that_knows_no_answer_for_a_row_does_not_end_the_walk(live: changing.Example) -> None:
    text = "BEGIN CASE WHEN $1 <> 'name 7' THEN RETURN $1; END CASE; END"
    live.execute(f"CREATE FUNCTION known(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ {text} $$")
    renaming.write(live, up="public.known(r.name)")
    code, (forward, _), it = renaming.verify(live)
    assert (code, forward.rows, forward.unreadable) == (5, 5000, 1)
    assert "id = 7, could not be compared (CaseNotFound)" in it.met[0].message


def test_a_path_in_braces_is_no_place_for_the_key(live: changing.Example) -> None:
    live.execute("UPDATE users SET name = json_build_object('key', name)")
    renaming.write(live, up="coalesce(r.name::jsonb #>> '{rows}', r.name::jsonb #>> '{key}', '{key}') || ''")
    _, (forward, _), _ = renaming.verify(live)
    assert (forward.rows, forward.differ, forward.unreadable) == (5000, 5000, 0)


def test_a_walk_that_is_stopped_goes_on_behind_its_last_chunk(
    live: changing.Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    disagree(live, 10, 20)
    seen: list[int] = []

    def after_two(progress: Progress) -> None:
        seen.append(progress.done)
        if len(seen) == 2:
            raise Stopped(15)

    monkeypatch.setattr(walk, "_next_size", a_thousand)
    with pytest.raises(Stopped):
        renaming.verify(live, how=ready.How(on_progress=after_two))
    assert seen == [2000, 3000]
    with live.connect(live.admin) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE users SET full_name = name WHERE id = 10")
        admin.execute("UPDATE users SET full_name = 'secret' WHERE id IN (500, 4000)")
    code, (forward, back), it = renaming.verify(live)
    assert code == 4
    assert it.plan.steps[0].notes == ("goes on behind 3,000 rows",)
    # 500 was compared before it was spoilt; 10 was mended, and is looked at again
    assert (forward.rows, forward.differ, forward.keys) == (5000, 2, ("id = 20", "id = 4000"))
    assert (back.rows, back.differ, back.keys) == (5000, 3, ("id = 20", "id = 500", "id = 4000"))


def test_a_connection_that_is_lost_costs_the_chunk_under_way(
    live: changing.Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(progress: Progress) -> None:
        if progress.done == 3000:
            with live.connect(live.admin) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND query LIKE '%IS DISTINCT%' AND pid <> pg_backend_pid()"
                )

    monkeypatch.setattr(walk, "_next_size", a_thousand)
    with pytest.raises(Unreachable):
        renaming.verify(live, how=ready.How(on_progress=lose))
    assert live.execute("SELECT rows_seen, cursor FROM dbops.jobs") == [(3000, ["3000"])]
    code, (forward, _), it = renaming.verify(live)
    assert (code, forward.rows, it.plan.steps[0].notes) == (0, 5000, ("goes on behind 3,000 rows",))


def test_the_evidence_changes_with_the_triggers(live: changing.Example) -> None:
    assert renaming.verify(live)[0] == 0
    before = compared(live).detail["triggers"]
    assert renaming.verify(live)[0] == 0
    assert compared(live).detail["triggers"] == before
    [(trigger,)] = live.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '~dbops%'")
    live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')
    assert renaming.verify(live)[0] == 0
    assert compared(live).detail["triggers"] != before


def test_triggers_that_are_changed_meanwhile_leave_it_unverified(live: changing.Example) -> None:
    [(trigger,)] = live.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '~dbops%'")

    def change(_progress: Progress) -> None:
        live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')

    code, _, it = renaming.verify(live, how=ready.How(on_progress=change))
    assert (code, renaming.codes(it)) == (5, {"DBM403"})
    assert renaming.known(live).state is State.EXPANDED


def test_what_is_not_filled_is_refused_and_told_what_to_do(live: changing.Example) -> None:
    renaming.move(live, State.BACKFILLING)
    with pytest.raises(Refused, match="is backfilling") as caught:
        renaming.verify(live)
    assert "dbops migrate backfill" in str(caught.value.hint)


def test_a_comparison_cannot_write(live: changing.Example) -> None:
    live.execute("CREATE SEQUENCE public.drawn")
    renaming.write(live, up="r.name || CASE WHEN nextval('public.drawn') > 0 THEN '' END")
    with pytest.raises(Refused, match="read-only"):
        renaming.verify(live)


def test_no_policy_hides_a_row_unseen(live: changing.Example) -> None:
    live.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY")
    with live.connect(live.admin) as admin:
        (owner,) = admin.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'users'").fetchone() or ("",)
        admin.execute(f'ALTER ROLE "{owner}" NOBYPASSRLS')  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(Refused, match="row-level security"):
        renaming.verify(live)


def test_limits_and_wishes_from_another_terminal_are_kept(
    live: changing.Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        live.execute("UPDATE dbops.controls SET paused = false")

    monkeypatch.setattr("dbops.engine.stop.pause", pause)
    monkeypatch.setattr(walk, "_next_size", a_thousand)
    live.execute("INSERT INTO dbops.controls (change, paused, actor) VALUES ('users-full-name', true, 'me')")
    code, outcomes, _ = renaming.verify(live, how=ready.How(limit=100))
    assert (code, [one.differ for one in outcomes]) == (0, [0, 0])
    assert paused[0] < 1, "somebody had paused it, and let it go on"
    assert len([one for one in paused if one > 5]) >= 6, "1,000 rows a chunk at 100 a second"
