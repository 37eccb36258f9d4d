"""Remove one set, or the WAL that nobody needs: asked first what would go, and refused where that is more or less."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from dbops.config.model import Cluster
from dbops.errors import Refused, VerifiedBad
from dbops.operations.clusters.expire import said
from dbops.operations.clusters.expire.facts import Action, ExpireSet, ExpireWal, Holding
from dbops.stores import pgbackrest

_UNLIMITED = 9_999_999  # pgBackRest's greatest number: as a retention it removes nothing, without a warning
_ANY_BUT_LOCKED = frozenset(range(256)) - {50}
_OTHERS = ("full-type", "diff", "archive", "archive-type", "history")


@dataclass(slots=True)
class Doing:
    """What a run works on, and what it has removed so far."""

    place: Cluster
    target: str
    holdings: dict[int, Holding]
    removed: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])

    def listed(self, repository: int) -> set[str]:
        known = {one.label for one in self.holdings[repository].backups}
        return {label for label in known if (repository, label) not in self.removed}


def options(action: Action) -> tuple[str, ...]:
    """Tell pgBackRest what to remove, whatever its own configuration says of retention.

    With a retention in its configuration or environment, `expire --set` would also remove WAL, and punch gaps;
    without `--repo` it would go on to the other repositories.
    """
    match action:
        case ExpireSet(repository, label):
            chosen, fulls = (f"--set={label}",), _UNLIMITED
        case ExpireWal(repository, fulls):
            chosen = ()
        case _:
            assert_never(action)
    reset = (f"--reset-repo{repository}-retention-{name}" for name in _OTHERS)
    return (f"--repo={repository}", *chosen, f"--repo{repository}-retention-full={fulls}", *reset)


def ask(place: Cluster, target: str) -> None:
    """Change nothing, and learn whether pgBackRest's own lock is free; what else is wrong is told where it matters."""
    pgbackrest.run(place, "expire", "--dry-run", target=target, connects=False, timeout=60, ok=_ANY_BUT_LOCKED)


def apply(doing: Doing, action: Action) -> None:
    """Do one step; what pgBackRest names in its dry run has to be what the plan names, neither more nor less."""
    if differs := _run(doing, action, "--dry-run"):
        raise Refused(
            f"{_what(action)}: pgbackrest would do something else than planned: {'; '.join(differs[:3])}",
            hint=f"nothing was removed by this step; look: dbops backup verify --target {doing.target}",
            target=doing.target,
        )
    differs = _run(doing, action)
    if isinstance(action, ExpireSet):
        doing.removed.add((action.repository, action.label))
    if differs:
        raise VerifiedBad(
            f"{_what(action)}: pgbackrest has done something else than its dry run said: {'; '.join(differs[:3])}",
            hint=f"dbops backup verify --target {doing.target}",
            target=doing.target,
        )


def _run(doing: Doing, action: Action, *more: str) -> Sequence[str]:
    verbose = ("--log-level-console=detail", "--no-log-timestamp")
    done = pgbackrest.run(doing.place, "expire", *options(action), *verbose, *more, target=doing.target, connects=False)
    told = said.read(done.out.decode("utf-8", "replace"), action.repository)
    held = doing.holdings[action.repository].wal
    return said.differences(told, action, listed=doing.listed(action.repository), held=held)


def _what(action: Action) -> str:
    match action:
        case ExpireSet(repository, label):
            return f"expiring {label} from repository {repository}"
        case ExpireWal(repository):
            return f"expiring WAL from repository {repository}"
        case _:
            assert_never(action)
