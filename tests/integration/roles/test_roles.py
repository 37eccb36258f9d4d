"""Roles, owners and grants on a real server."""

import uuid
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.config.model import Config
from dbops.engine import clock
from dbops.engine import run as runs
from dbops.engine.finding import Severity
from dbops.engine.patience import Ramp
from dbops.engine.plan import Risk, Step
from dbops.errors import LockBusy, Refused
from dbops.operations.roles import apply as roles_apply
from dbops.operations.roles import ready, scram
from dbops.operations.roles.actions import InstallLedger, ReleaseRole

SCHEMA = """
    CREATE TABLE orders (id bigserial PRIMARY KEY, buyer text);
    CREATE TABLE audit_events (id bigint, at date) PARTITION BY RANGE (at);
    CREATE TABLE p_2026 PARTITION OF audit_events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TABLE secured (id bigint, tenant text);
    ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
    CREATE VIEW through AS SELECT * FROM secured;
    CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM through;
    CREATE MATERIALIZED VIEW harmless AS SELECT count(*) FROM orders;
    CREATE TYPE mood AS ENUM ('fine', 'not %s {} fine');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE FUNCTION "odd %s {} ""name"(mood, "positive") RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE PROCEDURE tidy() LANGUAGE sql AS 'SELECT 1';
    CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int, initcond = '0');
"""


class Platform:
    """One database of a cluster, with a configuration whose role names nobody else uses."""

    def __init__(self, admin: str, folder: Path) -> None:
        self.admin = admin
        self.folder = folder
        self.mark = uuid.uuid4().hex[:6]
        self.run = runs.new("roles apply", folder / "state")
        told = conninfo_to_dict(admin)
        secret = folder / "admin"
        secret.write_text(f"{told.pop('password')}\n")
        secret.chmod(0o600)
        dsn = " ".join(f"{key}='{value}'" for key, value in told.items())
        self.places = {
            "cluster": {"main": {"dsn": dsn, "password": {"file": str(secret)}}},
            "postgres": {"shop": {"cluster": "main", "dsn": dsn, "owner": self.role("owner")}},
        }

    def role(self, name: str) -> str:
        return f"{name}_{self.mark}"

    def config(self, roles: dict[str, Any], *grants: dict[str, Any], **shop: Any) -> Config:
        places = {**self.places, "postgres": {"shop": self.places["postgres"]["shop"] | shop}}
        return Config.model_validate(
            {
                "platform": {"name": "test"},
                **places,
                "roles": {self.role(name): role for name, role in roles.items()},
                "grants": [grant | {"to": self.role(grant["to"])} for grant in grants],
            }
        )

    def whole(self, **more: Any) -> Config:
        """What most tests declare: an owner, a writer, a reader, a login."""
        roles: dict[str, Any] = {
            "owner": {"bypassrls": True},
            "write": {},
            "read": {},
            "svc_a": {
                "login": True,
                "member_of": [self.role("write")],
                "password": {"file": str(self.folder / "svc_a"), "generate": True},
            },
        }
        everything = ["SELECT", "INSERT", "UPDATE", "DELETE"]
        return self.config(
            roles | more,
            {"to": "write", "tables": everything, "append_only": ["audit_*"], "sequences": ["USAGE"],
             "new_tables": ["SELECT", "INSERT"]},
            {"to": "read", "tables": ["SELECT"], "functions": ["EXECUTE"]},
        )  # fmt: skip

    def apply(self, config: Config, *, only: int | None = None) -> list[Step[Any]]:
        """Do (some of) what is to be done, cluster first; return the steps that were planned."""
        done: list[Step[Any]] = []
        for opened in (ready.ready_cluster, ready.ready_database):
            name = "main" if opened is ready.ready_cluster else "shop"
            with opened(config, name, self.run, clock.now()) as it:
                for step in it.plan.steps:
                    if only is not None and len(done) == only:
                        return done
                    it.guard()
                    it.apply(step)  # pyright: ignore[reportArgumentType]
                    done.append(step)
        return done

    def sql(self, text: str, *values: Any, **conninfo: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(make_conninfo(self.admin, **conninfo), autocommit=True) as connection:
            cursor = connection.execute(text, values or None)  # pyright: ignore[reportArgumentType]
            return cursor.fetchall() if cursor.description else []

    def may(self, role: str, table: str) -> set[str]:
        words = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
        return {w for w in words if self.sql("SELECT has_table_privilege(%s, %s, %s)", self.role(role), table, w)[0][0]}


@pytest.fixture
def shop(database: str, server: str, folder: Path) -> Generator[Platform]:
    platform = Platform(database, folder)
    platform.sql(SCHEMA)
    yield platform
    with psycopg.connect(server, autocommit=True) as admin:
        name = conninfo_to_dict(database)["dbname"]
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name))))
        for (role,) in admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", (f"%{platform.mark}%",)):
            admin.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


def test_a_second_plan_is_empty_and_the_rights_are_those_declared(shop: Platform) -> None:
    config = shop.whole()
    assert shop.apply(config)
    assert [step.id for step in shop.apply(config)] == []
    assert shop.may("write", "orders") == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert shop.may("write", "audit_events") == shop.may("write", "p_2026") == {"SELECT", "INSERT"}
    assert shop.may("read", "orders") == {"SELECT"}
    assert shop.may("read", "harmless") == {"SELECT"}
    assert shop.may("read", "summary") == shop.may("svc_a", "summary") == set()
    owners = shop.sql(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    assert owners == [(shop.role("owner"),)]


def test_every_prefix_of_a_run_can_be_continued_to_the_same_end(shop: Platform) -> None:
    config = shop.whole()
    planned: list[str] = []
    while True:
        steps = shop.apply(config, only=1)
        if not steps:
            break
        planned += [step.id for step in steps]
        assert len(planned) < 100
    assert len(planned) == len(set(planned))
    assert shop.may("write", "orders") == {"SELECT", "INSERT", "UPDATE", "DELETE"}


def test_passwords_log_in_and_never_travel(shop: Platform) -> None:
    name = conninfo_to_dict(shop.admin)["dbname"]
    shop.sql(f"ALTER DATABASE {name} SET log_statement = 'all'")
    shop.apply(shop.whole())
    secret = shop.folder / "svc_a"
    assert secret.stat().st_mode & 0o777 == 0o600
    password = secret.read_text().strip()
    assert shop.sql("SELECT current_user", user=shop.role("svc_a"), password=password) == [(shop.role("svc_a"),)]
    log = (Path(str(conninfo_to_dict(shop.admin)["host"])).parent / "server.log").read_text()
    assert f'ALTER ROLE "{shop.role("svc_a")}" PASSWORD' in log
    assert password not in log


@pytest.mark.parametrize(
    "password", ["simple", "with ' and \\ and %s {}", "I\u00adX \u00aa", "\u0007\u00e9", "\U0001f511" * 9]
)
def test_the_server_computes_the_same_verifiers(shop: Platform, password: str) -> None:
    role = sql.Identifier(shop.role("scram"))
    with psycopg.connect(shop.admin, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
        [stored] = admin.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (shop.role("scram"),)
        ).fetchone() or [""]
        assert scram.matches(stored, password, role=shop.role("scram"))
        assert not scram.matches(stored, password + "x", role=shop.role("scram"))
        ours = scram.verifier(password)
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(ours)))
        admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(admin.info.dbname), role))
    assert shop.sql("SELECT current_user", user=shop.role("scram"), password=password)


def test_a_changed_secret_is_set_anew_and_tells_who_is_connected(shop: Platform) -> None:
    config = shop.whole()
    shop.apply(config)
    old = (shop.folder / "svc_a").read_text().strip()
    (shop.folder / "svc_a").write_text("quite another\n")
    with psycopg.connect(make_conninfo(shop.admin, user=shop.role("svc_a"), password=old, application_name="web")):
        steps = shop.apply(config)
    assert [step.id for step in steps] == [f"password of role {shop.role('svc_a')}"]
    assert steps[0].risk is Risk.BLOCKS
    assert any("1 connection " in note and "web" in note for note in steps[0].notes)
    assert shop.apply(config) == []


def test_strange_rights_are_taken_back_and_strangers_are_left_alone(shop: Platform) -> None:
    config = shop.whole()
    shop.apply(config)
    read, write, stranger = shop.role("read"), shop.role("write"), shop.role("stranger")
    shop.sql(
        f"""CREATE ROLE {stranger} LOGIN;
        GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC, {stranger};
        GRANT DELETE ON p_2026 TO {write};
        GRANT SELECT ON orders TO {read} WITH GRANT OPTION;
        SET ROLE {read}; GRANT SELECT ON orders TO {write}; RESET ROLE;
        GRANT {write} TO {read};
        GRANT CREATE ON SCHEMA public TO PUBLIC;
        ALTER DEFAULT PRIVILEGES FOR ROLE {shop.role("owner")} GRANT ALL ON TABLES TO {read}, PUBLIC, {stranger}"""
    )
    steps = shop.apply(config)
    assert all(step.risk is Risk.BLOCKS for step in steps)
    assert shop.apply(config) == []
    assert shop.may("stranger", "orders") >= {"SELECT", "DELETE"}
    assert shop.may("read", "orders") == {"SELECT"}
    assert shop.may("write", "p_2026") == {"SELECT", "INSERT"}
    assert shop.sql("SELECT has_schema_privilege(%s, 'public', 'CREATE')", stranger) == [(False,)]


def test_a_role_that_must_go_loses_its_privileges_everywhere_and_is_dropped(shop: Platform) -> None:
    shop.apply(shop.whole())
    shop.sql(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {shop.role('read')}")
    without = shop.config({"owner": {"bypassrls": True}, "read": {"absent": True}})
    ids = [step.id for step in shop.apply(without)]
    assert f"drop role {shop.role('read')}" in ids
    assert shop.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", shop.role("read")) == []
    assert shop.apply(without) == []


def test_a_role_that_owns_something_is_dropped_once_the_database_s_owner_has_it(shop: Platform) -> None:
    shop.apply(shop.whole())
    shop.sql(f"ALTER TABLE orders OWNER TO {shop.role('read')}")
    without = shop.config({"owner": {"bypassrls": True}, "read": {"absent": True}})
    with ready.ready_cluster(without, "main", shop.run, clock.now()) as cluster:
        assert [finding.code for finding in cluster.findings] == ["DBR102"]
    shop.apply(without)
    assert shop.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", shop.role("read")) != []
    shop.apply(without)
    assert shop.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", shop.role("read")) == []


def test_hostile_names_in_every_position(shop: Platform) -> None:
    odd = f"o'd\"d {{}} %s\n\u00fc {shop.mark}"
    quoted = '"' + odd.replace('"', '""') + '"'
    shop.sql(f"CREATE SCHEMA {quoted}; CREATE TABLE {quoted}.{quoted} (id serial); CREATE TYPE {quoted}.t AS ENUM ()")
    shop.sql(f"CREATE FUNCTION {quoted}.{quoted}({quoted}.{quoted}) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    config = shop.config(
        {
            "owner": {},
            odd: {"login": True, "comment": odd, "password": {"file": str(shop.folder / "p"), "generate": True}},
        },
        {"to": odd, "schemas": [odd], "tables": ["SELECT"], "sequences": ["USAGE"], "functions": ["EXECUTE"]},
        creators=[shop.role(odd)],
    )
    assert shop.apply(config)
    assert shop.apply(config) == []


def test_each_step_of_a_database_has_its_entry_in_the_ledger(shop: Platform) -> None:
    steps = [step for step in shop.apply(shop.whole()) if type(step.action).__module__.endswith("actions")]
    entries = shop.sql(
        "SELECT detail->>'step', run, system_identifier, database_oid::bigint, timeline FROM dbops.entries ORDER BY id"
    )
    first = next(n for n, step in enumerate(steps) if isinstance(step.action, InstallLedger))
    assert [entry[0] for entry in entries] == [step.id for step in steps[first + 1 :]]
    [[identifier, oid]] = shop.sql(
        """SELECT s.system_identifier, d.oid::bigint
             FROM pg_control_system() s, pg_database d WHERE datname = current_database()"""
    )
    assert {entry[1:] for entry in entries} == {(shop.run.id, identifier, oid, 1)}


@pytest.mark.parametrize(
    "change", ["UPDATE dbops.entries SET kind = 'x'", "DELETE FROM dbops.entries", "TRUNCATE dbops.entries"]
)
def test_nobody_rewrites_the_ledger(shop: Platform, change: str) -> None:
    shop.apply(shop.whole())
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        shop.sql(change)


def test_a_ledger_of_a_newer_dbops_is_refused(shop: Platform) -> None:
    shop.apply(shop.whole())
    shop.sql("UPDATE dbops.version SET version = 99")
    with pytest.raises(Refused, match="version 99"):
        shop.apply(shop.whole())


def test_only_one_run_works_on_a_target_at_a_time_and_planning_takes_no_lock(shop: Platform) -> None:
    config = shop.whole()
    with ready.ready_cluster(config, "main", shop.run, clock.now()):
        with pytest.raises(LockBusy, match=shop.run.id):
            shop.apply(config)
        looking = replace(shop.run, plan_only=True)
        with ready.ready_cluster(config, "main", looking, clock.now()) as it:
            assert it.plan.steps


def test_an_owner_changes_hands_only_when_the_table_is_free(shop: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    config = shop.whole()
    impatient = Ramp(attempts=2, timeout=timedelta(milliseconds=50), first_pause=timedelta(milliseconds=1))
    monkeypatch.setattr(roles_apply, "RAMP", impatient)
    with psycopg.connect(shop.admin, application_name="report") as other:
        other.execute("SELECT FROM orders")
        with pytest.raises(LockBusy, match="'report'"):
            shop.apply(config)
    shop.apply(config)
    assert shop.apply(config) == []


def test_databases_are_refused_while_their_roles_are_missing(shop: Platform) -> None:
    database = ready.ready_database(shop.whole(), "shop", shop.run, clock.now())
    with pytest.raises(Refused, match="do not exist yet"), database:
        pass


def test_an_administrator_that_may_not_read_verifiers_is_told_what_is_missing(shop: Platform) -> None:
    config = shop.whole()
    shop.apply(config)
    weak = shop.role("weak")
    shop.sql(f"CREATE ROLE {weak} LOGIN CREATEROLE PASSWORD 'weak'")
    shop.sql(f"GRANT CONNECT ON DATABASE {conninfo_to_dict(shop.admin)['dbname']} TO {weak}")
    place = config.cluster["main"].model_copy(
        update={"dsn": f"{config.cluster['main'].dsn} user={weak} password=${{WEAK}}", "password": None}
    )
    less = config.model_copy(update={"cluster": {"main": place}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAK", "weak")
        findings = ready.checked(less, ("main",), shop.run)
        with ready.ready_cluster(less, "main", shop.run, clock.now()) as it:
            assert it.plan.steps == ()
            assert [finding.code for finding in it.findings] == ["DBR122"]
    assert {f.code for f in findings if f.severity is Severity.UNKNOWN} == {"DBR122"}


def test_a_check_finds_nothing_after_an_apply_and_tells_what_was_undone(shop: Platform) -> None:
    config = shop.whole()
    shop.apply(config)
    shop.sql("ALTER VIEW through SET (security_invoker = true)")
    ours = [f for f in ready.checked(config, (), shop.run) if f.target == "shop" or shop.mark in f.message]
    assert ours == []
    shop.sql("GRANT SELECT ON orders TO PUBLIC")
    shop.sql("CREATE FUNCTION loose() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
    shop.sql(f"GRANT SELECT ON summary TO {shop.role('read')}")
    found = {f.code for f in ready.checked(config, ("shop",), shop.run)}
    assert found == {"DBR101", "DBR130", "DBR140", "DBR141", "DBR142", "DBR150"}


def test_what_cannot_be_reached_is_no_pass(shop: Platform) -> None:
    nowhere = shop.whole().cluster["main"].model_copy(update={"dsn": "host=/nowhere"})
    config = shop.whole().model_copy(update={"cluster": {"main": nowhere}})
    findings = ready.checked(config, (), shop.run)
    assert [(f.target, f.severity, f.code) for f in findings] == [
        ("main", Severity.UNKNOWN, "DBR100"),
        ("shop", Severity.UNKNOWN, "DBR100"),
    ]


def test_a_role_that_somebody_else_made_meanwhile_ends_as_declared(shop: Platform) -> None:
    config = shop.whole()
    with ready.ready_cluster(config, "main", shop.run, clock.now()) as cluster:
        shop.sql(f"CREATE ROLE {shop.role('read')} SUPERUSER LOGIN NOINHERIT CONNECTION LIMIT 1")
        for step in cluster.plan.steps:
            cluster.apply(step)
    with ready.ready_cluster(config, "main", shop.run, clock.now()) as cluster:
        assert cluster.plan.steps == ()


def test_nothing_is_dropped_with_a_role_that_became_an_owner_since_the_plan(shop: Platform) -> None:
    shop.apply(shop.whole())
    without = shop.config({"owner": {"bypassrls": True}, "read": {"absent": True}})
    with ready.ready_cluster(without, "main", shop.run, clock.now()) as cluster:
        [release] = [step for step in cluster.plan.steps if isinstance(step.action, ReleaseRole)]
        shop.sql(f"ALTER TABLE orders OWNER TO {shop.role('read')}")
        with pytest.raises(Refused, match="owns objects"):
            cluster.apply(release)
    assert shop.sql("SELECT to_regclass('public.orders') IS NOT NULL") == [(True,)]


def test_members_of_extensions_are_left_to_their_extension(shop: Platform) -> None:
    shop.sql("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore")
    named = [statement.shown() for step in shop.apply(shop.whole()) for statement in step.statements]
    assert not [text for text in named if "hstore" in text or "pg_stat_statements" in text]
    assert shop.apply(shop.whole()) == []


def test_a_function_of_somebody_else_is_not_given_the_rights_of_the_owner(shop: Platform) -> None:
    """Its body would run as the owner, past row security; who wrote it is to be asked first."""
    config = shop.whole()
    shop.apply(config)
    mallory = shop.role("mallory")
    shop.sql(f"CREATE ROLE {mallory}; CREATE SCHEMA play AUTHORIZATION {mallory}")
    shop.sql(
        f"""SET ROLE {mallory}; CREATE FUNCTION play.run(q text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog AS 'DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END'"""
    )
    shop.apply(config)
    assert shop.sql("SELECT play.run('SELECT current_user')") == [(mallory,)]
    assert "DBR142" in {f.code for f in ready.checked(config, ("shop",), shop.run)}


@pytest.mark.parametrize("above", ["owner", "pg_execute_server_program"])
def test_undeclared_members_of_what_matters_are_told(shop: Platform, above: str) -> None:
    config = shop.whole()
    shop.apply(config)
    role = shop.role(above) if above == "owner" else above
    shop.sql(f"CREATE ROLE {shop.role('stranger')}; GRANT {role} TO {shop.role('stranger')}")
    told = [f.code for f in ready.checked(config, ("main",), shop.run) if shop.role("stranger") in f.message]
    assert told == ["DBR114"]


def test_expired_passwords_and_roles_that_can_be_handed_on_are_told(shop: Platform) -> None:
    config = shop.whole()
    shop.apply(config)
    login = shop.role("svc_a")
    shop.sql(f"ALTER ROLE {login} VALID UNTIL '2020-01-01'; GRANT {shop.role('write')} TO {login} WITH ADMIN OPTION")
    assert {f.code for f in ready.checked(config, ("main",), shop.run) if login in f.message} == {"DBR115", "DBR124"}


def test_privileges_of_everybody_on_single_columns_are_told(shop: Platform) -> None:
    config = shop.whole()
    shop.apply(config)
    shop.sql("GRANT UPDATE (id) ON orders TO PUBLIC")
    told = [f.message for f in ready.checked(config, ("shop",), shop.run) if f.code == "DBR170"]
    assert [message.split()[0] for message in told] == ["PUBLIC"]


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_ledger_that_its_database_s_owner_could_have_trapped_is_refused(shop: Platform, verb: str) -> None:
    config = shop.whole()
    shop.apply(config)
    owner = shop.role("owner")
    shop.sql(f"ALTER SCHEMA dbops OWNER TO {owner}; ALTER TABLE dbops.version RENAME TO old")
    shop.sql(f"SET ROLE {owner}; CREATE VIEW dbops.version AS SELECT 1 / 0 AS version")
    run = replace(shop.run, plan_only=verb == "plan")
    with pytest.raises(Refused) as refused, ready.ready_database(config, "shop", run, clock.now()):
        pass
    assert "cannot be trusted" in refused.value.message
    assert "ALTER SCHEMA, ALTER TABLE, ALTER FUNCTION" in (refused.value.hint or "")


def test_the_owner_reads_the_ledger_and_adds_to_it_and_no_more(shop: Platform) -> None:
    shop.apply(shop.whole())
    owner = shop.role("owner")
    shop.sql(f"SET ROLE {owner}; SELECT version FROM dbops.version")
    shop.sql(
        f"""SET ROLE {owner}; INSERT INTO dbops.entries (run, actor, command, target, subject, kind, detail,
            system_identifier, database_oid, timeline) VALUES ('', '', '', '', '', '', '{{}}', 1, 1, 1)"""
    )
    for forbidden in (
        "UPDATE dbops.version SET version = 0",
        "CREATE TABLE dbops.mine ()",
        "DELETE FROM dbops.entries",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shop.sql(f"SET ROLE {owner}; {forbidden}")
