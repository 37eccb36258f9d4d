"""A change on a managed server: its administrator is no superuser, the owner of the tables is a plain role."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import Dbops
from dbops.errors import ExitCode

import changing
import contracting
from contracting import ask, through

_BODY = """def upgrade() -> None:
    op.execute("CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL DEFAULT '')")
    op.execute("INSERT INTO users SELECT n, 'n' || n FROM generate_series(1, 300) n")
    op.execute("CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    op.execute("CREATE TRIGGER stays BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stays()")
    op.execute("CREATE TABLE limits AS SELECT setting FROM pg_settings WHERE name IN "
               "('idle_session_timeout', 'quote_all_identifiers', 'statement_timeout') ORDER BY name")


def downgrade() -> None:
    pass
"""
_NEW = ("new", "rename-column", "--table", "public.users", "--column", "name", "--to", "full_name")
_CHANGE = ("--change", "c", "--impact", "Grüße ←")
_UNLOOKED = through("soak", "statements", "clients", "backup")


@contextmanager
def managed(server: str, folder: Path, *, member: bool = True) -> Generator[changing.Example]:
    """Let a plain role, a member of the owner or not, be the administrator, and take every right from the owner."""
    with changing.example(server, folder) as live:
        owner = str(conninfo_to_dict(live.owner)["user"])
        admin = f'{owner} "Admin"'
        names = {"admin": sql.Identifier(admin), "owner": sql.Identifier(owner)}
        rights = ["CREATE ROLE {admin} LOGIN CREATEDB CREATEROLE PASSWORD 'x'", "GRANT pg_monitor TO {admin}"]
        rights += ["ALTER ROLE {owner} NOBYPASSRLS"]
        if member:
            rights += ["GRANT {owner} TO {admin}"]
        else:
            rights += [f"GRANT CREATE ON DATABASE {conninfo_to_dict(live.admin)['dbname']} TO {{admin}}"]
        with live.connect(live.admin) as connection:
            for text in rights:
                connection.execute(sql.SQL(text).format(**names))  # pyright: ignore[reportArgumentType]
        toml = live.toml.read_text()
        dsn = toml.split("'''")[1]  # the first is the cluster's
        assert conninfo_to_dict(dsn)["dbname"] == "postgres"
        live.toml.write_text(toml.replace(dsn, make_conninfo(dsn, user=admin)))
        (live.folder / "secrets" / "admin").write_text("x")
        live.revision(1, _BODY)
        contracting.git(live, "init", "-q")
        yield live
        with live.connect(live.admin) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {admin}; DROP ROLE {admin}").format(**names))


def test_a_change_goes_its_whole_way_without_a_superuser(server: str, folder: Path, dbops: Dbops) -> None:
    with managed(server, folder) as live:
        ask(dbops, live, "up", "--yes")
        ask(dbops, live, *_NEW, *_CHANGE)
        ask(dbops, live, "up", "--yes")
        told = ask(dbops, live, "backfill", "c", "--triggers", "suppress", code=ExitCode.REFUSED)
        assert "GRANT SET ON PARAMETER session_replication_role" in told["findings"][-1]["hint"]
        ask(dbops, live, "rehearse", "c", "--triggers", "fire", "--yes")
        ask(dbops, live, "backfill", "c", "--triggers", "fire")
        ask(dbops, live, "verify", "c")
        ask(dbops, live, "switch", "c", "--percent", "100", "--yes", code=ExitCode.WARNINGS)
        ask(dbops, live, "contract", "c", "--write", *_UNLOOKED)
        contracting.git(live, "add", "migrations")
        contracting.git(live, "commit", "-q", "-m", "Contract")
        ask(dbops, live, "contract", "c", *_UNLOOKED, "--yes")
        assert live.execute("SELECT count(*), count(full_name) FROM users") == [(300, 300)]


def test_an_administrator_whom_the_owner_could_not_trust_installs_nothing(
    server: str, folder: Path, dbops: Dbops
) -> None:
    with managed(server, folder, member=False) as live:
        told = ask(dbops, live, "up", "--yes", code=ExitCode.REFUSED)
        assert "could not trust" in told["findings"][-1]["message"]
        assert "member of the role that owns" in told["findings"][-1]["hint"]
        assert live.execute("SELECT to_regnamespace('dbops'), to_regclass('users')") == [(None, None)]


def test_a_database_of_bytes_is_changed_and_rehearsed_whatever_its_owner_s_client_would_speak(
    server: str, folder: Path, dbops: Dbops
) -> None:
    with changing.example(server, folder) as live:
        name, owner = (str(conninfo_to_dict(live.owner)[key]) for key in ("dbname", "user"))
        with live.connect(server) as admin:
            admin.execute(f"DROP DATABASE {name}".encode())
            how = f"OWNER {owner} TEMPLATE template0 ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'"
            admin.execute(f"CREATE DATABASE {name} {how}".encode())
            for setting in (
                "client_encoding = LATIN1",
                "idle_session_timeout = '1h'",
                "statement_timeout = '1h'",
                "quote_all_identifiers = on",
            ):
                admin.execute(f"ALTER ROLE {owner} SET {setting}".encode())
        live.execute(f"ALTER SCHEMA public OWNER TO {owner}", dsn=live.admin)
        live.revision(1, _BODY.replace("'n' || n", r"E'\\xE9\\xFC' || n"))
        ask(dbops, live, "up", "--yes")
        assert live.execute("TABLE limits") == [("0",), ("off",), ("0",)]
        ask(dbops, live, *_NEW, *_CHANGE)
        ask(dbops, live, "rehearse", "c", "--triggers", "fire", "--yes")
