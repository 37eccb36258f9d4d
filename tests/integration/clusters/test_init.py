"""`backup init` on real clusters: from nothing to the first full backup, and what it refuses."""

import codecs
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops import process
from dbops.errors import DbopsError, LockBusy, Refused
from dbops.operations.clusters import locks
from dbops.operations.clusters.init import observe, ready
from dbops.servers import account
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest import configuration

from bare_cluster import TARGET, Bare, bare, write_toml


def known(live: Bare) -> pgbackrest.StanzaInfo:
    place = live.config.cluster[TARGET].model_copy(update={"run_as": "postgres"})
    return pgbackrest.info(place, target=TARGET)[0]


def test_from_nothing_to_the_first_full_and_then_there_is_nothing_to_do(folder: Path) -> None:
    with bare(folder) as live:
        first = live.init()
        assert first == ["configure", "stanza", "archive"]  # the rest waits for a restart, which is not ours to do
        live.restart()
        assert live.init() == ["check", "full:1"]
        assert live.init() == []
        assert live.setting("archive_timeout") == "20"
        assert [(one.kind, one.annotations[0][0]) for one in known(live).backups] == [("full", "reason")]
        assert live.codes() == {"DBB116"}  # it has no cipher, and that is fixed now


def test_an_encrypted_repository_is_archived_into_by_the_server_itself(folder: Path) -> None:
    with bare(folder, encrypted=True) as live:
        assert live.init(restart=True) == ["configure", "passes", "stanza", "archive", "restart", "check", "full:1"]
        assert known(live).repositories[0].cipher == "aes-256-cbc"
        assert "a pass" not in live.conf.read_text()
        told = live.include.stat()
        assert stat.S_IMODE(told.st_mode) == 0o600
        assert told.st_uid == live.server.data.stat().st_uid
        assert live.init() == []
        assert live.codes() == set()


def test_a_copying_archive_command_is_replaced_only_as_a_step_that_shows_both(folder: Path) -> None:
    with bare(folder, archiving=True) as live:
        assert {"DBB102", "DBB109"} <= live.codes()
        opened = ready.init(
            live.config, TARGET, live.run(plan_only=True), restart=False, toml=live.toml, on_progress=lambda _: None
        )
        with opened as one:
            step = next(step for step in one.plan.steps if step.id == "archive")
            assert step.risk.label == "blocks"
            assert "until now: cp %p /dev/null" in step.notes
        assert live.init() == ["configure", "stanza", "archive", "check", "full:1"]


def test_what_somebody_wrote_into_the_configuration_stays(folder: Path) -> None:
    with bare(folder, archiving=True) as live:
        old = f"# ours\n[global]\nprocess-max=2\ncompress-type=lz4\nlog-path={folder}/pgbackrest\n"
        old += "[other]\npg1-path=/srv/x\n"
        live.conf.write_text(old)
        live.conf.chmod(0o644)
        live.init()
        text = live.conf.read_text()
        assert {"# ours", "process-max=2", "compress-type=lz4", "pg1-path=/srv/x"} <= set(text.splitlines())
        assert stat.S_IMODE(live.conf.stat().st_mode) == 0o644
        copies = list(live.conf.parent.glob("*.before-*"))
        assert [copy.read_text() for copy in copies] == [old]
        assert live.codes() == {"DBB110", "DBB116"}


def test_a_second_repository_gets_the_stanza_and_its_own_first_full(folder: Path) -> None:
    with bare(folder, archiving=True) as live:
        live.init()
        repositories = {str(n): {"path": str(folder / "pgbackrest" / f"repo{n or ''}")} for n in (1, 2)}
        repositories["1"] = {"path": str(live.repository)}
        write_toml(live, repository=repositories)
        assert live.init() == ["configure", "stanza", "check", "full:2"]
        assert live.init() == []


def test_the_stanza_of_another_cluster_is_refused_and_nothing_is_changed(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(mode=0o711)
        (folder / name).chmod(0o711)
    with bare(folder / "a", archiving=True) as first, bare(folder / "b", archiving=True) as second:
        first.init()
        write_toml(second, repository={"1": {"path": str(first.repository)}})
        with pytest.raises(Refused, match="belongs to another cluster"):
            second.init()
        assert not second.conf.exists()
        assert second.setting("archive_command") == "cp %p /dev/null"


def test_a_configuration_for_another_data_directory_is_refused(folder: Path) -> None:
    with bare(folder) as live:
        live.conf.write_text(f"[{TARGET}]\npg1-path=/srv/elsewhere\n")
        with pytest.raises(Refused, match="/srv/elsewhere"):
            live.init()
        assert "DBB111" in live.codes()


def test_a_creation_that_was_killed_is_cleared_away_and_damage_is_not(folder: Path) -> None:
    with bare(folder, archiving=True) as live:
        for part in (".", "archive", "backup", f"archive/{TARGET}", f"backup/{TARGET}"):
            account.make_folder(live.repository / part)
        account.write_file(live.repository / "archive" / TARGET / "archive.info", "torn")
        assert live.init() == ["configure", "stanza", "archive", "check", "full:1"]
        (live.repository / "backup" / TARGET / "backup.info").unlink()
        (live.repository / "backup" / TARGET / "backup.info.copy").unlink()
        with pytest.raises(DbopsError):  # there are backups beside it
            live.init()
        assert list((live.repository / "backup" / TARGET).glob("*F"))


def test_the_owner_of_the_cluster_needs_no_root_and_another_account_is_sent_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bare(folder, encrypted=True, archiving=True) as live:
        account.make_folder(folder / "state")
        assert "DBB109" in live.codes()  # and what is imported on the way is there before root is left behind
        codecs.lookup("ascii")
        for file in ("superuser", "pass"):
            account.give(folder / file)
        (folder / "closed").mkdir(mode=0o700)
        monkeypatch.setenv("PATH", f"{folder / 'closed'}:{os.defpath}")  # as sudo hands root's own on
        if os.geteuid() == 0:
            place = live.config.cluster[TARGET]
            said = _as("nobody", lambda: observe.account(place, live.server.data, TARGET))
            assert "this account, nobody, may not look at the data directory" in said
        wanted = ["configure", "passes", "stanza", "archive", "check", "full:1"]
        assert _as(account.name(), live.init) == repr(wanted)
        assert live.codes() == set()


def _as(user: str, work: Callable[[], object]) -> str:
    """Do something as another account, in a process of its own; return what came of it."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                who = process.account(user)
                os.setgroups([who.pw_gid])
                os.setgid(who.pw_gid)
                os.setuid(who.pw_uid)
            said = repr(work())
        except BaseException as error:  # noqa: BLE001  # told to the parent
            said = str(error)
        os.write(into, said.encode())
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


def test_a_pass_that_others_read_or_that_is_lost_is_told_and_written_anew(folder: Path) -> None:
    with bare(folder, encrypted=True, archiving=True) as live:
        live.init()
        live.include.chmod(0o644)
        assert live.codes() == {"DBB117"}
        assert live.init() == ["passes", "check"]
        live.include.unlink()
        assert live.codes() == {"DBB125"}
        assert live.init() == ["passes", "check"]
        (folder / "pass").write_text("another one")
        assert live.codes() >= {"DBB125", "DBB132"}
        with pytest.raises(Refused, match="cannot be looked at"):  # it is the reference that is wrong
            live.init()
        (folder / "pass").write_text("a pass = of its own")
        assert live.codes() == set()


def test_two_at_once_do_not_meet(folder: Path) -> None:
    with bare(folder, archiving=True) as live, locks.held(live.config, TARGET, live.run()), pytest.raises(LockBusy):
        live.init()


def test_the_seeds_configuration_is_told_what_is_wrong_with_it(folder: Path) -> None:
    with bare(folder) as live:
        live.conf.write_text(
            f"[global]\nrepo1-path={live.repository}\nrepo1-retention-full=7\nrepo1-retention-diff=4\n"
            "repo1-retention-archive=14\n\n[db]\npg1-path=/var/lib/postgresql/data\npg1-port=5432\n"
        )
        assert live.codes() >= {
            "DBB100",
            "DBB105",
            "DBB109",
            "DBB110",
            "DBB114",
            "DBB115",
            "DBB118",
            "DBB119",
            "DBB120",
        }
        sections = configuration.parse(live.conf.read_text())
        assert [one.name for one in sections] == ["global", "db"]
