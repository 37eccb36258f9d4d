"""Old and new compared on a real server: alike, different, and what cannot be compared."""

import json
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import changing
import renaming
from conftest import Dbops
from dbops.engine.run import Progress
from dbops.errors import Stopped
from dbops.operations.migrate import record
from dbops.operations.migrate.compare import ready, walk
from dbops.operations.migrate.compare.facts import COMPARED, Outcome
from dbops.operations.migrate.life import State, Told

Verify = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        renaming.write(example)
        renaming.upgrade(example)
        renaming.rows(example, 5000)
        yield example


@pytest.fixture
def verify(live: changing.Example, dbops: Dbops) -> Verify:
    def run(*more: str) -> tuple[int, dict[str, Any]]:
        ended = dbops(
            "migrate", "verify", renaming.CHANGE, "-t", changing.TARGET, "-o", "json", *more, "--config", live.toml
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    return run


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


def test_rows_that_are_alike_verify_the_change_with_evidence(live: changing.Example, verify: Verify) -> None:
    code, told = verify()
    assert (code, [(one["way"], one["rows"], one["differ"]) for one in told["data"]["comparisons"]]) == (
        0,
        [("forward", 5000, 0), ("back", 5000, 0)],
    )
    assert renaming.known(live).state is State.VERIFIED
    assert compared(live).detail["clean"] is True
    assert compared(live).detail["on"] == "primary"


def test_rows_that_differ_are_named_by_their_key_alone(live: changing.Example, verify: Verify) -> None:
    assert verify()[0] == 0
    disagree(live, 7, 4242)
    code, told = verify()
    assert code == 4
    text = json.dumps(told)
    assert "id = 7; id = 4242" in text
    assert "secret" not in text
    assert {one["code"] for one in told["findings"]} == {"DBM401"}
    assert renaming.known(live).state is State.BACKFILLED, "what differs is verified no more"
    assert compared(live).detail["clean"] is False
    kept = live.execute("SELECT key, reason FROM dbops.set_aside ORDER BY 1")
    assert kept == [(["4242"], "differs"), (["4242"], "differs"), (["7"], "differs"), (["7"], "differs")]


def test_a_thousand_keys_are_kept_and_twenty_are_shown(live: changing.Example, verify: Verify) -> None:
    disagree(live, *range(1, 3001))
    code, told = verify()
    assert code == 4
    assert [one["differ"] for one in told["data"]["comparisons"]] == [3000, 3000]
    assert [row[0] for row in live.execute("SELECT count(*) FROM dbops.set_aside GROUP BY job")] == [1000, 1000]
    assert told["findings"][0]["message"].count("id = ") == 20


def test_a_row_that_an_expression_does_not_stand_is_set_aside_and_the_others_are_compared(
    live: changing.Example, verify: Verify
) -> None:
    renaming.write(live, up="(CASE WHEN r.id = 4999 THEN (r.name || 'x')::int::text ELSE r.name END)")
    code, told = verify()
    assert code == 5
    forward, back = told["data"]["comparisons"]
    assert (forward["rows"], forward["unreadable"], back["unreadable"]) == (5000, 1, 0)
    assert "id = 4999, could not be compared (InvalidTextRepresentation)" in told["findings"][0]["message"]
    assert "name 4999" not in json.dumps(told)
    assert renaming.known(live).state is State.EXPANDED


def test_a_walk_that_is_stopped_goes_on_behind_its_last_chunk(
    live: changing.Example, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    disagree(live, 10, 20)
    seen: list[int] = []

    def after_two(progress: Progress) -> None:
        seen.append(progress.done)
        if len(seen) == 2:
            raise Stopped(15)

    monkeypatch.setattr(walk, "_next_size", a_thousand)
    run = live.run()
    how = ready.How(on_progress=after_two)
    opening = ready.verify(live.config, live.toml, changing.TARGET, run, run.started, change=renaming.CHANGE, how=how)
    with opening as it, pytest.raises(Stopped):
        it.apply(it.plan.steps[0])
    assert seen == [2000, 3000]
    with live.connect(live.admin) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE users SET full_name = name WHERE id = 10")
        admin.execute("UPDATE users SET full_name = 'secret' WHERE id IN (500, 4000)")
    code, told = verify()
    forward, back = told["data"]["comparisons"]
    assert code == 4
    # 500 was compared before it was spoilt; 10 was mended, and is looked at again
    assert (forward["rows"], forward["keys"]) == (5000, ["id = 20", "id = 4000"])
    assert (back["rows"], back["keys"]) == (5000, ["id = 20", "id = 500", "id = 4000"])


def test_the_evidence_changes_with_the_triggers(live: changing.Example, verify: Verify) -> None:
    assert verify()[0] == 0
    before = compared(live).detail["triggers"]
    assert verify()[0] == 0
    assert compared(live).detail["triggers"] == before
    [(trigger,)] = live.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '~dbops%'")
    live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')
    assert verify()[0] == 0
    assert compared(live).detail["triggers"] != before


def test_what_is_not_filled_is_refused_and_told_what_to_do(live: changing.Example, verify: Verify) -> None:
    renaming.move(live, State.BACKFILLING)
    code, told = verify()
    assert code == 9
    assert "dbops migrate backfill" in told["findings"][0]["hint"]


def test_the_plan_shows_the_queries_and_walks_nothing(live: changing.Example, verify: Verify) -> None:
    code, told = verify("--plan")
    assert code == 0
    assert [step["id"].split()[0] for step in told["data"]["steps"]] == ["compare", "compare", "conclude"]
    assert "<rows of one chunk>" in told["data"]["steps"][0]["sql"][0]
    assert live.execute("SELECT count(*) FROM dbops.jobs") == [(0,)]


def test_a_comparison_writes_nothing_and_no_policy_hides_a_row(live: changing.Example, verify: Verify) -> None:
    renaming.write(live, up="(SELECT name FROM set_config('x.y', r.name, false) name)")
    live.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY")
    with live.connect(live.admin) as admin:
        (owner,) = admin.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'users'").fetchone() or ("",)
        admin.execute(f'ALTER ROLE "{owner}" NOBYPASSRLS')  # pyright: ignore[reportArgumentType, reportCallIssue]
    code, told = verify()
    assert code == 9, told
    assert "row-level security" in told["findings"][0]["message"]


def test_a_limit_keeps_the_pace(live: changing.Example) -> None:
    paused: list[float] = []
    run = live.run()
    told: list[Outcome] = []
    how = ready.How(limit=10_000, patience=timedelta(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dbops.operations.migrate.compare.walk.stop.pause", paused.append)
        patch.setattr(walk, "_next_size", a_thousand)
        opening = ready.verify(
            live.config, live.toml, changing.TARGET, run, run.started, change=renaming.CHANGE, how=how, told=told
        )
        with opening as it:
            for step in it.plan.steps:
                it.apply(step)
    assert sum(paused) > 0.3
    assert [one.differ for one in told] == [0, 0]
