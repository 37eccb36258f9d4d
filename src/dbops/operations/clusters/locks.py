"""The lock of a cluster's backups: on this host, and on the server itself whenever it answers.

Restores and verifications have to work while the server is down, so a server that does not answer is no reason
to stop: it is told that only this host is kept out.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from dbops.config.model import Cluster, Config
from dbops.engine import locks
from dbops.engine.finding import Finding, Severity
from dbops.engine.run import Run
from dbops.errors import AuthenticationFailed, ConfigInvalid, Unreachable
from dbops.stores import postgres

SUBJECT = "backup"
_READING = "backups that are read"
_PATIENCE = timedelta(seconds=60)  # expiring takes seconds


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Held:
    """The lock is held; calling it raises LockBusy when the server has lost it."""

    check: Callable[[], None] = _nothing
    findings: tuple[Finding, ...] = ()

    def __call__(self) -> None:
        self.check()


@contextmanager
def held(config: Config, target: str, run: Run, subject: str = SUBJECT) -> Generator[Held]:
    """Hold (target, subject) while open; with `--plan` nothing is held. What it yields is a plan's guard."""
    if run.plan_only:
        yield Held()
        return
    place = config.cluster[target]
    with ExitStack() as stack:
        stack.enter_context(locks.on_this_host(run, target, subject))
        try:
            guard = _on_the_server(stack, place, run, target, subject)
        except (Unreachable, AuthenticationFailed, ConfigInvalid) as error:
            yield Held(findings=(_this_host_only(target, error.message),))
        else:
            yield Held(guard)


@contextmanager
def reading(run: Run, target: str) -> Generator[None]:
    """Keep what a restore or a verification reads from being expired meanwhile; many read at once."""
    patient = replace(run, lock_wait=max(run.lock_wait, _PATIENCE))
    with locks.on_this_host(patient, target, _READING, shared=True):
        yield


@contextmanager
def unread(run: Run, target: str) -> Generator[None]:
    """Hold the backups while nobody on this host reads them; with `--plan` nothing is held."""
    with ExitStack() as stack:
        if not run.plan_only:
            stack.enter_context(locks.on_this_host(run, target, _READING))
        yield


def _on_the_server(stack: ExitStack, place: Cluster, run: Run, target: str, subject: str) -> Callable[[], None]:
    with postgres.connect(place, run, target=target) as connection:
        postgres.reap_dead_runs(connection, target)
    guard = stack.enter_context(postgres.only_run(place, run, target=target, subject=subject))

    def check() -> None:
        try:
            guard()
        except Unreachable:
            return  # the server went away; the lock of this host stays

    return check


def _this_host_only(target: str, why: str) -> Finding:
    message = f"locked on this host only: the server does not answer ({why.splitlines()[0]})"
    return Finding(Severity.INFO, "DBB290", target, message, "see to it that no other host works on these backups")
