"""What stands on an old column comes over to the new one: written by `new`, built behind the backfill, kept by all."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbops.engine.patience import Ramp
from dbops.engine.plan import Plan
from dbops.errors import DbopsError, ExitCode, LockBusy, Refused, UsageError
from dbops.operations.migrate import open_changes
from dbops.operations.migrate import ready as migrations
from dbops.operations.migrate.backfill import ready as backfilling
from dbops.operations.migrate.backfill.facts import Wanted as Filling
from dbops.operations.migrate.compare import ready as comparing
from dbops.operations.migrate.exchange import exchange
from dbops.operations.migrate.life import State
from dbops.operations.migrate.scaffold import ready as scaffold
from dbops.operations.migrate.scaffold.facts import Wanted
from dbops.operations.migrate.switch import ready as switching
from dbops.stores import postgres

import changing

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CHANGE = "users-full-name"
TABLES = """
    CREATE TABLE teams (id int PRIMARY KEY, leader text UNIQUE);
    CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', active boolean DEFAULT true,
                        CONSTRAINT users_name_key UNIQUE (name), CONSTRAINT users_name_said CHECK (name <> ''),
                        CONSTRAINT users_leads FOREIGN KEY (name) REFERENCES teams (leader) ON UPDATE CASCADE);
    CREATE INDEX users_name_lower ON users (lower(name), id DESC);
    CREATE INDEX users_name_active ON users USING hash (name) WHERE active;
    CREATE UNIQUE INDEX active_once ON users (upper(name)) WHERE active;
    CREATE TABLE orders (id int PRIMARY KEY, buyer text, CONSTRAINT orders_buyer_name FOREIGN KEY (buyer)
                         REFERENCES users (name) ON UPDATE CASCADE ON DELETE SET NULL);
    INSERT INTO teams SELECT n, 'user ' || n FROM generate_series(1, 300) n;
    INSERT INTO users (id, name) SELECT n, 'user ' || n FROM generate_series(1, 300) n;
    INSERT INTO orders SELECT n, 'user ' || n FROM generate_series(1, 300, 7) n"""
CARRY = """    carry=(
        Constraint("public.users", "users_full_name_key", "UNIQUE (full_name)"),
        Constraint("public.users", "users_full_name_said", "CHECK ((full_name <> ''::text))"),
        Index("public.users", "active_once_full_name", "(upper(full_name)) WHERE active", unique=True),
        Index("public.users", "users_full_name_active", "USING hash (full_name) WHERE active"),
        Index("public.users", "users_full_name_lower", "(lower(full_name), id DESC)"),
        Constraint(
            "public.users",
            "users_leads_full_name",
            "FOREIGN KEY (full_name) REFERENCES public.teams (leader) ON UPDATE CASCADE",
        ),
        Constraint(
            "public.orders",
            "orders_buyer_full_name",
            "FOREIGN KEY (buyer) REFERENCES public.users (full_name) ON UPDATE CASCADE ON DELETE SET NULL",
        ),
    ),
"""
BUILDS = [
    "users_full_name_key",
    "users_full_name_said",
    "active_once_full_name",
    "users_full_name_active",
    "users_full_name_lower",
    "users_leads_full_name",
    "orders_buyer_full_name",
]


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.revision(1, "def upgrade() -> None: ...\ndef downgrade() -> None: ...")
        yield example


def written(live: changing.Example, kind: str = "rename-column", **options: Any) -> str:
    told: dict[str, Any] = {"column": ("name",), "to": ("full_name",), "change": CHANGE, "table": "users", **options}
    wanted = Wanted(target=changing.TARGET, kind=kind, impact="both work", **told)
    with scaffold.new(live.config, live.toml, wanted, live.run(), NOW) as made:
        [step] = made.plan.steps
        made.apply(step)
        return step.action.text


def up(live: changing.Example, **options: Any) -> None:
    with migrations.up(live.config, live.toml, changing.TARGET, live.run(), NOW, **options) as one:
        for step in one.plan.steps:
            one.apply(step)


def down(live: changing.Example, to: str) -> None:
    with migrations.down(live.config, live.toml, changing.TARGET, live.run(), NOW, to=to) as one:
        for step in one.plan.steps:
            one.apply(step)


def fill(live: changing.Example, *, until: str | None = None, **wanted: Any) -> Plan[Any]:
    """Run the backfill, or what of it comes before a step."""
    opening = backfilling.backfill(
        live.config,
        live.toml,
        changing.TARGET,
        live.run(),
        NOW,
        change=CHANGE,
        wanted=Filling(**wanted),
        on_progress=lambda _progress: None,
    )
    with opening as one:
        for step in one.plan.steps:
            if step.id == until:
                break
            one.apply(step)
        return one.plan


def planned(live: changing.Example) -> list[str]:
    run = live.run()
    opening = backfilling.backfill(
        live.config, live.toml, changing.TARGET, run, NOW,
        change=CHANGE, wanted=Filling(), on_progress=lambda _progress: None,
    )  # fmt: skip
    with opening as one:
        return [step.id for step in one.plan.steps]


def verify(live: changing.Example) -> None:
    with comparing.verify(live.config, live.toml, changing.TARGET, live.run(), NOW, change=CHANGE) as one:
        for step in one.plan.steps:
            one.apply(step)


def state(live: changing.Example) -> State:
    known = open_changes.observe(live.config, live.toml, changing.TARGET, live.run())
    return open_changes.one(known, CHANGE).life.state


def catalog(live: changing.Example) -> dict[str, str]:
    """What stands on the tables, valid, by name."""
    return dict(
        live.execute("""
            SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
             WHERE conrelid IN ('users'::regclass, 'orders'::regclass) AND convalidated
               AND obj_description(oid, 'pg_constraint') IS NULL
            UNION SELECT indexrelid::regclass::text, split_part(pg_get_indexdef(indexrelid), ' USING ', 2) FROM pg_index
             WHERE indrelid = 'users'::regclass AND indisvalid
               AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)""")
    )


def test_a_rename_carries_all_that_stands_on_the_column(live: changing.Example) -> None:
    live.execute(TABLES)
    before = catalog(live)
    text = written(live)
    assert text.partition('"r.full_name"},\n')[2].partition(")\n\n\ndef")[0] == CARRY
    assert "Not carried over" not in text
    up(live)
    assert catalog(live) == before, "nothing is built before the rows are filled"
    steps = [step.id for step in fill(live).steps]
    assert [one for one in steps if one != "analyze"] == ["fill", *(f"build {name}" for name in BUILDS), "conclude"]
    assert state(live) is State.BACKFILLED
    after = catalog(live)
    assert set(after) - set(before) == set(BUILDS)
    assert {name: after[name] for name in BUILDS} == {
        "users_full_name_key": "UNIQUE (full_name)",
        "users_full_name_said": "CHECK ((full_name <> ''::text))",
        "active_once_full_name": "btree (upper(full_name)) WHERE active",
        "users_full_name_active": "hash (full_name) WHERE active",
        "users_full_name_lower": "btree (lower(full_name), id DESC)",
        "users_leads_full_name": "FOREIGN KEY (full_name) REFERENCES teams(leader) ON UPDATE CASCADE",
        "orders_buyer_full_name": (
            "FOREIGN KEY (buyer) REFERENCES users(full_name) ON UPDATE CASCADE ON DELETE SET NULL"
        ),
    }
    took = live.execute("SELECT detail #>> '{statements,0,sql}' FROM dbops.entries WHERE detail ->> 'phase' = 'build'")
    assert [text.partition(" on ")[0].rpartition(" ")[2] for (text,) in took] == BUILDS
    assert planned(live) == []
    verify(live)
    down(live, "2026_01_01_0001")
    assert catalog(live) == before


def test_readers_do_not_follow_before_it_is_there_and_valid(live: changing.Example) -> None:
    live.execute(TABLES)
    written(live)
    up(live)
    fill(live, until="build users_full_name_active")
    assert state(live) is State.BACKFILLING
    with pytest.raises(Refused, match="only what is filled can be verified"):
        verify(live)
    assert [one for one in planned(live) if one != "analyze"] == [
        "fill", *(f"build {name}" for name in BUILDS[3:]), "conclude"
    ]  # fmt: skip
    fill(live)
    live.execute("DROP INDEX users_full_name_lower; ALTER TABLE orders DROP CONSTRAINT orders_buyer_full_name")
    missing = "not there, or not valid: index users_full_name_lower on public.users, FOREIGN KEY orders_buyer_full_name"
    with pytest.raises(Refused, match=missing):
        verify(live)
    assert planned(live) == ["build users_full_name_lower", "build orders_buyer_full_name"]
    fill(live)
    verify(live)
    live.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'active_once_full_name'::regclass",
                 dsn=live.admin)  # fmt: skip
    with (
        pytest.raises(Refused, match="not valid: unique index active_once_full_name on"),
        switching.switch(live.config, live.toml, changing.TARGET, live.run(), NOW, change=CHANGE, percent=100),
    ):
        pass
    fill(live)
    assert "active_once_full_name" in catalog(live)
    assert state(live) is State.VERIFIED


def test_rows_that_a_new_key_cannot_hold_are_named_by_their_keys_before_any_harm(live: changing.Example) -> None:
    live.execute("CREATE TABLE users (id int PRIMARY KEY, code text UNIQUE, CHECK (code <> 'x'))")
    live.execute("INSERT INTO users VALUES (1, '07'), (2, '7'), (3, '8'), (4, NULL), (5, NULL), (6, '0')")
    text = written(live, "type", column=("code",), to=("number",), type="int")
    assert 'Constraint("public.users", "users_number_key", "UNIQUE (number)")' in text
    assert "Not carried over: constraint users_code_check: CHECK ((code <> 'x'::text)) (PostgreSQL refuses it" in text
    up(live)
    with pytest.raises(DbopsError) as refused:
        fill(live)
    assert refused.value.exit_code is ExitCode.FAILED  # as where `up` builds it
    assert "could not create unique index" in refused.value.message
    assert "the keys of the first ones: 1, 2" in refused.value.message
    assert "=(7)" not in refused.value.message
    assert state(live) is State.FAILED
    assert live.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    live.execute("INSERT INTO users (id, code) VALUES (7, '007')")  # old clients go on as before
    live.execute("DELETE FROM users WHERE id IN (1, 7)")
    seen = live.execute("SELECT sum(rows_seen) FROM dbops.jobs")
    fill(live)
    assert state(live) is State.BACKFILLED
    assert live.execute("SELECT sum(rows_seen) FROM dbops.jobs") == seen, "no row is walked twice"


def test_values_that_a_check_or_a_key_refuses_are_never_told(live: changing.Example) -> None:
    """Rows may be older than the old constraint, and its author may make the new one another."""
    live.execute("CREATE TABLE peers (name text PRIMARY KEY); CREATE TABLE users (id int PRIMARY KEY, name text)")
    live.execute(
        "INSERT INTO users VALUES (1, 'secret'), (2, 'known'), (3, 'ghost'); INSERT INTO peers VALUES ('known')"
    )
    live.execute("ALTER TABLE users ADD CONSTRAINT long CHECK (length(name) < 60)")
    live.execute("ALTER TABLE users ADD FOREIGN KEY (name) REFERENCES peers (name) NOT VALID")
    text = written(live)
    file = live.history / "2026_11_21_0900_users_full_name.py"
    file.write_text(text.replace("< 60", "< 6"), encoding="utf-8")
    up(live)
    for key, name in ((1, "long_full_name"), (3, "users_full_name_fkey")):
        with pytest.raises(DbopsError) as refused:
            fill(live)
        assert name in refused.value.message
        assert refused.value.message.endswith(f"the keys of the first ones: {key}")
        live.execute(f"UPDATE users SET name = 'known' WHERE id = {key}")
    fill(live)
    assert state(live) is State.BACKFILLED


def test_a_build_that_waits_for_others_is_given_up_and_done_by_the_next_run(live: changing.Example) -> None:
    live.execute("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE INDEX ON users (name)")
    written(live)
    up(live)
    fill(live, until="build users_full_name_idx")
    with psycopg.connect(live.owner) as other:
        other.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        with pytest.raises(LockBusy, match="given up, for it waited for backend") as refused:
            fill(live, patience=timedelta(milliseconds=300))
        assert str(other.info.backend_pid) in refused.value.message
    assert state(live) is State.BACKFILLING
    fill(live)
    assert state(live) is State.BACKFILLED


def test_partitions_get_theirs_one_by_one(live: changing.Example) -> None:
    live.execute("""
        CREATE TABLE users (id int, name text NOT NULL, PRIMARY KEY (id), UNIQUE (id, name)) PARTITION BY RANGE (id);
        CREATE TABLE users_1 PARTITION OF users FOR VALUES FROM (1) TO (10);
        CREATE TABLE users_2 PARTITION OF users FOR VALUES FROM (10) TO (20);
        CREATE INDEX users_lower ON users (lower(name));
        INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 19) n""")
    text = written(live)
    assert '"users_lower_full_name", "(lower(full_name))", partitioned=True)' in text
    up(live)
    fill(live)
    valid = "SELECT count(*) FROM pg_index WHERE indisvalid AND pg_get_indexdef(indexrelid) ~ 'full_name'"
    assert live.execute(valid) == [(6,)]
    assert state(live) is State.BACKFILLED
    down(live, "2026_01_01_0001")
    live.history.joinpath("2026_11_21_0900_users_full_name.py").unlink()
    with pytest.raises(UsageError, match="cut into partitions by id") as refused:
        written(live, column=("id",), to=("number",))
    assert "replace-table" in str(refused.value.hint)


def test_a_lock_that_is_not_granted_is_asked_for_again(live: changing.Example) -> None:
    """Whoever watches has a connection of its own: what fails on ours is not told in its words."""
    live.execute("CREATE TABLE users (id int PRIMARY KEY)")
    run = live.run()
    administrator = partial(postgres.connect, live.config.postgres[changing.TARGET], run, target=changing.TARGET)
    ramp = Ramp(timeout=timedelta(milliseconds=20), attempts=3, first_pause=timedelta(milliseconds=1))
    with psycopg.connect(live.owner) as other, live.connect() as ours:
        other.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        with pytest.raises(LockBusy, match="was not granted in 3 attempts"):
            exchange(
                ours,
                ["ALTER TABLE users ADD COLUMN a int"],
                lambda: None,
                what="a test",
                target=changing.TARGET,
                administrator=administrator,
                ramp=ramp,
            )
