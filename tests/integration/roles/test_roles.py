"""Roles, owners and grants on a real server."""

import os
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.config.model import Config
from dbops.engine import clock, run as runs
from dbops.engine.finding import Severity
from dbops.engine.plan import Risk, Step
from dbops.engine.run import Run
from dbops.errors import LockBusy, Refused
from dbops.operations.roles import ready

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
        self.run: Run = runs.new("roles apply", folder / "state")
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
