"""kill -9 anywhere in `roles apply`: the next runs finish the work, and the end is the same."""

import json
import shutil
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbops.sandbox.environment import environment
from dbops.sandbox.facts import DATABASES

from killing import Zygote, kills, moment

_CHAIN = 5
_CLUSTER = """
    SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication,
           r.rolbypassrls, r.rolconnlimit, a.rolpassword IS NOT NULL,
           (SELECT array_agg(g.rolname::text ORDER BY g.rolname) FROM pg_auth_members m
              JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)
      FROM pg_roles r JOIN pg_authid a USING (oid) WHERE r.rolname !~ '^pg_' ORDER BY 1"""
_DATABASE = """
    WITH entry (kind, name, owner, acl) AS (
        SELECT 'database', datname::text, datdba, datacl FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT 'schema', nspname::text, nspowner, nspacl
          FROM pg_namespace WHERE nspname IN ('public', 'dbops')
        UNION ALL SELECT 'default ' || defaclobjtype::text, defaclrole::regrole::text, defaclrole, defaclacl
          FROM pg_default_acl
        UNION ALL SELECT 'relation', oid::regclass::text, relowner, relacl
          FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    SELECT kind, name, owner::regrole::text, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(acl) a)
      FROM entry ORDER BY 1, 2"""
# Tables that `sandbox up` does not bring; the audit table has the wrong owner, and PUBLIC may read it.
_TABLES = """
    CREATE TABLE things (id uuid PRIMARY KEY); CREATE SEQUENCE numbers;
    CREATE TABLE audit_logs (id uuid PRIMARY KEY); GRANT SELECT ON audit_logs TO PUBLIC"""


def state(home: Path) -> list[list[tuple[Any, ...]]]:
    """Read who may do what, all over the cluster; verifiers have random salts and stay out."""
    admin = environment(home)["DBOPS_SANDBOX_POSTGRES"]
    with psycopg.connect(admin) as connection:
        found = [connection.execute(_CLUSTER).fetchall()]
    for database in DATABASES.values():
        with psycopg.connect(make_conninfo(admin, dbname=database)) as connection:
            found.append(connection.execute(_DATABASE).fetchall())
    return found


class Platform:
    """A sandbox that can be put back to what it was before roles came."""

    def __init__(self, zygote: Zygote, home: Path) -> None:
        self.zygote, self.home = zygote, home
        self.config = home / "dbops.toml"
        self._kept = home.with_name(f"{home.name}.kept")
        zygote.finished("sandbox", "up", "--fast", "--dir", home)
        admin = environment(home)["DBOPS_SANDBOX_POSTGRES"]
        for database in list(DATABASES.values())[:3]:
            with psycopg.connect(make_conninfo(admin, dbname=database), autocommit=True) as connection:
                connection.execute(_TABLES)  # pyright: ignore[reportArgumentType]
        zygote.finished("sandbox", "down", "--dir", home)
        _copy(home, self._kept)

    def reset(self) -> None:
        self.zygote.finished("sandbox", "down", "--dir", self.home)
        shutil.rmtree(self.home)
        _copy(self._kept, self.home)
        self.zygote.finished("sandbox", "up", "--fast", "--dir", self.home)


def _copy(there: Path, here: Path) -> None:
    subprocess.run(["cp", "-a", there, here], check=True)  # with owners and modes, which copytree leaves behind


@pytest.fixture
def platform_of_roles(zygote: Zygote, folder: Path) -> Generator[Platform]:
    home = folder / "sandbox"
    yield Platform(zygote, home)
    zygote.finished("sandbox", "down", "--purge", "--yes", "--dir", home)


def test_killed_role_changes_are_finished_by_the_next_run(
    platform_of_roles: Platform, record_property: Callable[[str, object], None]
) -> None:
    platform, zygote = platform_of_roles, platform_of_roles.zygote
    apply = ("roles", "apply", "--yes", "--config", platform.config)
    platform.reset()
    clean = zygote.finished(*apply)
    wanted = state(platform.home)

    done = 0
    while done < kills(30):
        platform.reset()
        for _ in range(_CHAIN):
            ended = zygote.run(*apply, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
        zygote.finished(*apply)
        assert state(platform.home) == wanted
        second = zygote.finished("roles", "plan", "--config", platform.config, "--output", "json")
        assert json.loads(second.out)["data"]["steps"] == []
    record_property("kills", f"roles apply: {done} kills, a clean run takes {clean.seconds:.2f} s")


def journals_of(platform: Platform) -> list[dict[str, Any]]:
    room = ("journal", "list", "--limit", "200", "--config", platform.config, "--output", "json")
    found: list[dict[str, Any]] = json.loads(platform.zygote.finished(*room).out)["data"]["journals"]
    return found


def test_journals_of_killed_runs_are_unfinished_and_their_chain_holds(platform_of_roles: Platform) -> None:
    platform, zygote = platform_of_roles, platform_of_roles.zygote
    apply = ("roles", "apply", "--yes", "--config", platform.config)
    platform.reset()
    killed, clean_seconds = 0, 2.0
    while "unfinished" not in {one["outcome"] for one in journals_of(platform)}:  # a kill may hit between journals
        if not zygote.run(*apply, kill_after=moment(clean_seconds)).killed:
            platform.reset()
        killed += 1
        assert killed < 50, "no kill left an unfinished journal"
    zygote.finished(*apply)
    journals = journals_of(platform)
    assert {one["outcome"] for one in journals} == {"done", "unfinished"}
    for one in {one["run_id"] for one in journals}:
        zygote.finished("journal", "show", one, "--config", platform.config)
