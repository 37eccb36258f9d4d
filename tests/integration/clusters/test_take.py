"""What a backup needs beside it, and who may take one, on a real cluster."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.config.model import Config
from dbops.engine import clock
from dbops.engine import locks as host_locks
from dbops.engine.plan import Step
from dbops.errors import LockBusy, Refused, Unreachable
from dbops.operations.clusters import locks
from dbops.operations.clusters.ahead import Ahead
from dbops.operations.clusters.take import configuration, observe, progress, secrets_needed
from dbops.operations.clusters.take.apply import Doing, apply
from dbops.operations.clusters.take.facts import Action, KeepConfiguration, Wanted
from dbops.operations.clusters.take.observe import settings
from dbops.process import account as account_of
from dbops.servers import postgres
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest.program import refuse_wrong_account

import clustering
from places import identity


@pytest.fixture
def live(folder: Path) -> Generator[clustering.Cluster]:
    with clustering.under_backup(folder) as made:
        yield made


def newest(live: clustering.Cluster) -> pgbackrest.BackupInfo:
    [stanza] = pgbackrest.info(live.config.cluster[clustering.TARGET], target=clustering.TARGET)
    return stanza.backups[-1]


def test_the_configuration_holds_all_files_and_no_secret(live: clustering.Cluster) -> None:
    included = live.server.data / "more.conf"
    included.write_text("work_mem = '5MB'\nprimary_conninfo = 'host=a password=hunter22 user=b'\n")
    with (live.server.data / "postgresql.conf").open("a") as file:
        file.write("include 'more.conf'\n")
    with (live.server.data / "pg_hba.conf").open("a") as file:
        file.write('host all all 10.0.0.0/8 ldap ldapserver=x ldapbinddn="d" ldapbindpasswd="hunter22"\n')
    conf = live.stanza.config.read_text()
    live.stanza.config.write_text(conf.replace("[main]", "repo1-s3-key-secret=hunter22\n[main]"))
    with live.connect() as connection:
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'hunter22' VALID UNTIL '2030-01-01'")
        connection.execute("CREATE ROLE readers; GRANT readers TO reader; COMMENT ON ROLE reader IS 'it''s one'")
        connection.execute("ALTER ROLE reader SET work_mem = '7MB'")
        connection.execute("ALTER SYSTEM SET maintenance_work_mem = '77MB'")
        connection.execute("CREATE EXTENSION pg_trgm")
        connection.execute("SELECT pg_reload_conf()")
    run = live.run()
    found = configuration.gather(live.config, clustering.TARGET, run, live.toml)
    names = {Path(name).name for name in found.files}
    assert names >= {"postgresql.conf", "more.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"}
    assert names >= {"pgbackrest.conf", "dbops.toml", "roles.sql"}
    everything = b"\n".join(found.files.values()) + repr(found.facts).encode()
    assert b"hunter22" not in everything
    assert clustering.PASSWORD.encode() not in everything
    assert b"SCRAM-SHA-256$" not in everything
    assert b"host=a password=*** user=b" in everything, "what stands beside a secret is kept"
    assert b"maintenance_work_mem = '77MB'" in everything
    [postgres_database] = [one for one in found.facts["databases"] if one["name"] == "postgres"]
    assert "pg_trgm" in postgres_database["extensions"]
    with live.connect() as connection:
        connection.execute("DROP ROLE reader; DROP ROLE readers")
        made = found.files["roles.sql"].decode()
        connection.execute("\n".join(line for line in made.splitlines() if "postgres" not in line).encode())
        row = connection.execute(
            "SELECT rolvaliduntil::date::text, rolconfig, shobj_description(oid, 'pg_authid'),"
            " pg_has_role('reader', 'readers', 'member') FROM pg_roles WHERE rolname = 'reader'"
        ).fetchone()
    assert row == ("2030-01-01", ["work_mem=7MB"], "it's one", True), "the statements make the same roles again"


def test_what_was_kept_can_be_read_back_also_when_the_vault_encrypts(live: clustering.Cluster) -> None:
    secret, public = identity()
    file = live.folder / "identity"
    file.touch(mode=0o600)
    file.write_text(secret)
    live.toml.write_text(f'{live.toml.read_text()}recipients = ["{public}"]\nidentity = {{ file = "{file}" }}\n')
    live.pgbackrest("backup", "--type=full", "--no-expire-auto")
    one = newest(live)
    found = configuration.gather(live.config, clustering.TARGET, live.run(), live.toml)
    folder = configuration.keep(live.config, clustering.TARGET, live.run(), one, found)
    kept = configuration.recall(live.config, clustering.TARGET, label=one.label)
    assert kept is not None
    assert (kept.folder, kept.label) == (folder, one.label)
    assert kept.files[str(live.toml).lstrip("/")] == live.toml.read_bytes()
    assert {secret["key"] for secret in kept.secrets} == {"cluster.main.password", "vault.identity"}
    assert configuration.recall(live.config, clustering.TARGET, label="19990101-000000F") is None


def _away() -> configuration.Gathered:
    raise Unreachable("the server was away for a moment", target=clustering.TARGET)


def test_what_could_not_be_gathered_during_a_backup_is_asked_for_afterwards_and_then_told(
    live: clustering.Cluster,
) -> None:
    live.pgbackrest("backup", "--type=full", "--no-expire-auto")
    run = live.run()
    facts, wanted = observe.observe(live.config, clustering.TARGET, run), Wanted(configuration_only=True)
    keep: Step[Action] = Step("keep", "keep the configuration", KeepConfiguration())
    doing = Doing(live.config, run, facts, wanted, live.toml, lambda _: None, newest=newest(live))
    doing.gathering = clock.monotonic(), Ahead(_away, "away")
    apply(doing, keep)
    kept = configuration.recall(live.config, clustering.TARGET)
    assert kept is not None
    assert kept.label == newest(live).label

    postgres.stop(live.server)
    doing.gathering = clock.monotonic(), Ahead(_away, "away")
    with pytest.raises(Unreachable, match="is complete, but its configuration was not kept"):
        apply(doing, keep)
    postgres.start(live.server)


def test_every_secret_that_a_recovery_needs_is_named_and_none_is_told(live: clustering.Cluster) -> None:
    repository = '[cluster.main.repository.1]\ncipher = "${CIPHER_OF_MAIN}"\n'
    live.toml.write_text(live.toml.read_text() + repository)
    needed = secrets_needed.needed(live.config, clustering.TARGET)
    assert [one.reference for one in needed] == ["${CIPHER_OF_MAIN}", f"file {live.folder / 'superuser'}"]
    table = secrets_needed.text(needed)
    assert "| `cluster.main.repository.1.cipher` | `${CIPHER_OF_MAIN}` |" in table


def test_the_lock_is_of_this_host_alone_while_the_server_is_down(live: clustering.Cluster) -> None:
    config = live.config
    with locks.held(config, clustering.TARGET, live.run()) as guard:
        guard()
        assert guard.findings == ()
        with pytest.raises(LockBusy), locks.held(config, clustering.TARGET, live.run()):
            pass
    postgres.stop(live.server)
    with locks.held(config, clustering.TARGET, live.run()) as guard:
        guard()
        assert [finding.code for finding in guard.findings] == ["DBB290"]
        with pytest.raises(LockBusy), host_locks.on_this_host(live.run(), clustering.TARGET, "backup"):
            pass
    postgres.start(live.server)


def test_a_plan_holds_no_lock(live: clustering.Cluster) -> None:
    with (
        locks.held(live.config, clustering.TARGET, live.run(plan_only=True)),
        locks.held(live.config, clustering.TARGET, live.run()),
    ):
        pass


def test_the_wrong_account_is_refused_by_the_right_ones_name(live: clustering.Cluster) -> None:
    place = live.config.cluster[clustering.TARGET].model_copy(update={"run_as": "nobody"})
    if os.geteuid() != 0:
        with pytest.raises(Refused, match="taken as nobody"):
            pgbackrest.info(place, target="main")
        return
    child = os.fork()
    if child == 0:  # as somebody who is neither root nor the owner
        os.setuid(account_of("postgres").pw_uid)
        try:
            pgbackrest.info(place, target="main")
        except Refused as error:
            os._exit(9 if "taken as nobody" in error.message and error.target == "main" else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    refuse_wrong_account(place, target="main")  # root becomes whoever it has to be


def test_the_lock_file_is_where_the_configuration_says(live: clustering.Cluster) -> None:
    own = settings(live.config.cluster[clustering.TARGET])
    assert own.lock == live.stanza.home / "lock" / "main-backup.lock"


def test_progress_is_read_from_the_lock_file(folder: Path) -> None:
    lock = folder / "lock"
    assert progress.read(lock) is None
    lock.write_text('{"execId":"31199-204aa4f1","pctCplt":1528,"pid":31199}')
    assert progress.read(lock) == pytest.approx(0.1528)
    lock.write_text('{"execId":"31199-204aa4f1","pid":31199}')
    assert progress.read(lock) is None


def test_with_a_configuration_of_no_cluster_at_all_nothing_is_needed() -> None:
    config = Config.model_validate({"platform": {"name": "x"}, "cluster": {"main": {"dsn": "host=x"}}})
    assert secrets_needed.text(secrets_needed.needed(config, "main")) == "No secret is needed.\n"
