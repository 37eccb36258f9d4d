"""What is made of the last words of a server that ended before its target."""

from pathlib import Path

from dbops.errors import DbopsError, VerifiedBad
from dbops.operations.clusters.restore.waiting import TooLow, dead

_KNOCK = "2026-08-01 00:00:00.000 UTC [7] FATAL:  the database system is starting up\n"


def _log(folder: Path, text: str) -> Path:
    (folder / "server.log").write_text(_KNOCK + text + _KNOCK)
    return folder / "server.log"


def test_a_target_that_never_came_is_verified_bad_in_its_own_words(tmp_path: Path) -> None:
    told = dead(_log(tmp_path, "[1] FATAL:  recovery ended before configured recovery target was reached\n"), "main")
    assert isinstance(told, VerifiedBad)
    assert "recovery ended before configured recovery target" in told.message
    assert "starting up" not in told.message  # that was us, knocking


def test_a_full_disk_says_nothing_about_the_backup(tmp_path: Path) -> None:
    told = dead(_log(tmp_path, '[1] PANIC:  could not write to file "x": No space left on device\n'), "main")
    assert type(told) is DbopsError


def test_settings_that_are_too_low_are_learnt_from_what_it_says(tmp_path: Path) -> None:
    low = "[1] DETAIL:  max_connections = 20 is a lower setting than on the primary server, where its value was 150.\n"
    told = dead(
        _log(tmp_path, f"[1] FATAL:  recovery aborted because of insufficient parameter settings\n{low}"), "main"
    )
    assert isinstance(told, TooLow)
    assert told.settings == {"max_connections": 150}


def test_what_an_earlier_start_said_is_not_told_again(tmp_path: Path) -> None:
    log = _log(tmp_path, "[1] FATAL:  the first time\n")
    since = log.stat().st_size
    with log.open("a") as file:
        file.write("[2] FATAL:  the second time\n")
    told = dead(log, "main", since)
    assert "the second time" in told.message
    assert "the first time" not in told.message


def test_a_server_that_said_nothing_is_told_so(tmp_path: Path) -> None:
    assert "it said nothing" in dead(tmp_path / "absent", "main").message
