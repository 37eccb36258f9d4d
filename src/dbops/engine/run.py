"""One invocation of dbops, and how it carries plans out. Knows no store."""

import getpass
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from dbops import redact, units
from dbops.engine import clock, stop
from dbops.engine.journal import Journal
from dbops.engine.plan import Ready
from dbops.errors import DbopsError, worst

Action = TypeVar("Action")
Item = TypeVar("Item")
Result = TypeVar("Result")


def _actor() -> str:
    """Name the person or the account behind this run."""
    try:
        own = getpass.getuser()
    except (KeyError, OSError):  # an account without a passwd entry
        own = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER")
    return f"{behind} as {own}" if behind and behind != own else own


@dataclass(frozen=True, slots=True)
class Run:
    """Who is at work, since when, and how: the same for every target of one command."""

    id: str
    command: str
    started: datetime
    state_dir: Path
    lock_wait: timedelta = timedelta(0)
    plan_only: bool = False
    actor: str = field(default_factory=_actor)

    @property
    def holder(self) -> dict[str, str]:
        """Tell others who holds a lock."""
        return {
            "run": self.id,
            "command": self.command,
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "since": units.instant(self.started),
        }


def new(command: str, state_dir: Path, *, lock_wait: timedelta = timedelta(0), plan_only: bool = False) -> Run:
    started = clock.now()
    return Run(new_id(started), command, started, state_dir, lock_wait, plan_only)


def new_id(started: datetime) -> str:
    """Name a run so that names sort by time: `20261120T214550.123Z-4f2a`."""
    return f"{units.stamp(started)}-{secrets.token_hex(2)}"


def host_id() -> str:
    """Tell this host, and this container's process numbers, from all others that carry the same host name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot, numbers = socket.gethostname(), ""
    return f"{hash_of(boot + numbers):06x}"


def hash_of(text: str) -> int:
    """Return 24 bits that stay the same from process to process."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value >> 8


def application_name(run: Run) -> str:
    """Tell PostgreSQL who is connected, in the 63 bytes that plain roles may see of others."""
    head, tail = f"dbops {run.id} ", f".{host_id()} {os.getpid()}"
    host = socket.gethostname().encode("ascii", "replace").decode()[: 63 - len(head) - len(tail)]
    return f"{head}{host}{tail}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; whoever shows it decides how."""

    target: str
    step: str
    done: int
    total: int


def execute(ready: Ready[Action], journal: Journal, on_progress: Callable[[Progress], None]) -> None:
    """Carry out a plan. There is no resume: the next run observes the world and plans what is left."""
    plan = ready.plan
    journal.write(
        "plan",
        title=plan.title,
        sha=plan.sha,
        steps=[
            {"id": s.id, "summary": s.summary, "risk": s.risk.label, "sql": [t.shown() for t in s.statements]}
            for s in plan.steps
        ],
    )
    failed: list[DbopsError] = []
    for done, step in enumerate(plan.steps):
        stop.check()
        ready.guard()
        on_progress(Progress(plan.target, step.summary, done, len(plan.steps)))
        journal.write("start", step=step.id)
        try:
            ready.apply(step)
        except BaseException as error:  # Ctrl-C included: an unfinished step must be on record
            journal.write("fail", step=step.id, error=redact.redact(f"{type(error).__name__}: {error}"))
            if not isinstance(error, ready.goes_on_after):
                raise
            failed.append(error)
        else:
            journal.write("done", step=step.id)
    on_progress(Progress(plan.target, "done", len(plan.steps), len(plan.steps)))
    if failed:
        raise _as_one(failed)


def _as_one(failed: Sequence[DbopsError]) -> DbopsError:
    """Tell what several steps failed with as the gravest of it."""
    code = worst(error.exit_code for error in failed)
    gravest = next(error for error in failed if error.exit_code is code)
    told = dict.fromkeys(error.message for error in (gravest, *failed))
    return type(gravest)("\n".join(told), hint=gravest.hint, target=gravest.target)


@dataclass(frozen=True, slots=True)
class Ended(Generic[Item, Result]):
    """What became of one of many: a result, an error, or nothing because it was never begun."""

    item: Item
    result: Result | None = None
    error: BaseException | None = None
    begun: bool = True


def each(
    items: Sequence[Item], work: Callable[[Item], Result], *, jobs: int = 1, stop_on_failure: bool = True
) -> list[Ended[Item, Result]]:
    """Do `work` for every item, `jobs` at a time, in order; begin no more after a failure or a signal.

    What `work` opens is opened when its turn comes, so a hundred databases need `jobs` connections.
    """
    if jobs <= 1:
        return list(_one_by_one(items, work, stop_on_failure=stop_on_failure))
    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="dbops")
    try:
        ended = _at_once(pool, items, work, jobs=jobs, stop_on_failure=stop_on_failure)
    except BaseException:  # the second signal: who is at work is not waited for
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return [ended.get(n, Ended(item, begun=False)) for n, item in enumerate(items)]


def _at_once(
    pool: ThreadPoolExecutor,
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    jobs: int,
    stop_on_failure: bool,
) -> dict[int, Ended[Item, Result]]:
    ended: dict[int, Ended[Item, Result]] = {}
    waiting = iter(range(len(items)))
    running: dict[Future[Result], int] = {}
    failed = False
    while True:
        while len(running) < jobs and not (failed and stop_on_failure) and not stop.requested():
            number = next(waiting, None)
            if number is None:
                break
            running[pool.submit(work, items[number])] = number
        if not running:
            return ended
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            number = running.pop(future)
            error = future.exception()
            failed = failed or error is not None
            ended[number] = Ended(items[number], None if error else future.result(), error)


def _one_by_one(
    items: Sequence[Item], work: Callable[[Item], Any], *, stop_on_failure: bool
) -> Iterator[Ended[Item, Any]]:
    going_on = True
    for item in items:
        if not going_on or stop.requested():
            yield Ended(item, begun=False)
            continue
        try:
            yield Ended(item, work(item))
        except BaseException as error:  # noqa: BLE001  # told by the door, with the other targets' outcomes
            yield Ended(item, error=error)
            going_on = not stop_on_failure and isinstance(error, Exception)
