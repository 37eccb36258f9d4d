"""kill -9 in every phase of two whole lives: rows, catalog and states end as they do without."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import faulting
from faulting import Case
from killing import Zygote, kills, moment

_EACH = 3
_TRIES = 20


def test_lives_that_are_killed_in_every_phase_end_like_one_that_is_not(
    server: str, folder: Path, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    (folder / "clean").mkdir(mode=0o711)
    with faulting.case(server, zygote, folder / "clean") as case:
        faulting.write_lives(case)
        seconds = [faulting.advance(case, step) for step in faulting.STEPS]
        expected = faulting.outcome(case)
    steps = [number for number, step in enumerate(faulting.STEPS) if step is not None]
    wanted = Counter(random.sample(steps * _EACH, kills(len(steps) * _EACH)))
    done: Counter[str] = Counter()
    (folder / "killed").mkdir(mode=0o711)
    with faulting.case(server, zygote, folder / "killed") as case:
        faulting.write_lives(case)
        for number, step in enumerate(faulting.STEPS):
            for _ in range(_TRIES):
                if step is None or not wanted[number] or _goes_further(case, step[0]):
                    break
                ended = case.run(*step[0], kill_after=moment(1.2 * seconds[number]))
                assert ended.killed or ended.code in {0, 3}, ended.err
                wanted[number] -= ended.killed
                done[step[0][0]] += ended.killed
            if step is None or not _goes_further(case, step[0]):
                faulting.advance(case, step)
        assert faulting.outcome(case) == expected
        case.is_told_nowhere()
    told = ", ".join(f"{verb} {count}" for verb, count in done.items())
    record_property("kills", f"migrate, whole lives: {done.total()} kills ({told})")


def _goes_further(case: Case, words: tuple[str, ...]) -> bool:
    """Say whether to run it once more would take back another phase."""
    return words[0] == "rollback" and faulting.states(case.live)[faulting.CHANGE][-1] != "switched"
