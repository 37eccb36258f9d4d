"""A server that crashes, sessions that end, lines that are cut, in each phase: exit 75, and the next run goes on."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from conftest import fresh

import cutting
import faulting
from answering import free_port
from faulting import Case, Ground, Rows
from killing import Zygote, kills


@pytest.fixture(scope="module")
def ground(base: Path) -> Generator[Ground]:
    folder = fresh(base, "ground")
    folder.mkdir(mode=0o711)
    with faulting.ground(folder, free_port()) as made:
        yield made


@pytest.fixture(scope="module")
def expected(ground: Ground, zygote: Zygote, base: Path) -> object:
    """What the same lives leave that meet no fault."""
    folder = fresh(base, "clean")
    folder.mkdir(mode=0o711)
    with faulting.case(ground.conninfo, zygote, folder) as case:
        faulting.write_lives(case)
        for step in faulting.STEPS:
            faulting.advance(case, step)
        return faulting.outcome(case)


@pytest.fixture
def case(ground: Ground, zygote: Zygote, folder: Path) -> Generator[Case]:
    with faulting.case(ground.conninfo, zygote, folder) as made:
        yield made


@pytest.fixture
def rows(record_property: Callable[[str, object], None]) -> Rows:
    return Rows(record_property)


@pytest.mark.parametrize("fault", ["server killed", "connections lost"])
def test_lives_go_on_behind_a_fault_in_each_phase(
    ground: Ground, case: Case, rows: Rows, expected: object, fault: str
) -> None:
    left = kills(len(faulting.STEPS))
    with cutting.before(ground.port) as proxy:
        faulting.write_lives(case)
        lines = faulting.through(case.live, proxy.port)
        for step in faulting.STEPS:
            if step is not None and step[1] is not None and left > 0:
                left -= 1
                cut = fault == "connections lost" and left % 2 == 0
                with case.waiting(*step[0], toml=lines if cut else None, lock=step[1]) as met:
                    if fault == "server killed":
                        faulting.crash(case.live, met.backend)
                    elif cut:
                        proxy.cut()
                    else:
                        faulting.end_sessions(case.live)
                assert met.ended is not None
                said = rows.add(f"{fault}, in each phase", "any verb", met.ended, 75, "the same command goes on")
                assert "try again" in said
            faulting.advance(case, step)
        assert faulting.outcome(case) == expected
        case.is_told_nowhere()
