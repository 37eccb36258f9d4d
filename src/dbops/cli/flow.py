"""How a changing command meets its operator: preview, confirm, run; one target after the other, or several at once."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from dbops.cli import render
from dbops.cli.door import Result
from dbops.cli.options import AskedChange
from dbops.cli.screen import Line, Screen, Tone
from dbops.engine import clock, journal, stop, watch
from dbops.engine.finding import Finding, Severity, exit_code, failure
from dbops.engine.plan import Plan, Ready, Risk
from dbops.engine.run import Ended, Run, each, execute
from dbops.errors import ConfirmationRequired, DbopsError, ExitCode, LockBusy, Refused, Stopped

Opening = Callable[[Run], AbstractContextManager[Ready[Any]]]


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a changing command: opened when its turn comes."""

    name: str
    opening: Opening


@dataclass(frozen=True, slots=True)
class StepTold:
    target: str
    id: str
    summary: str
    risk: Risk
    sql: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanTold:
    target: str
    title: str
    sha: str
    risk: Risk
    steps: int
    outcome: str  # planned, done, nothing to do, skipped, failed, not begun
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """The data of every changing command."""

    environment: str
    plans: tuple[PlanTold, ...]
    steps: tuple[StepTold, ...]


@dataclass(frozen=True, slots=True)
class _Done:
    plan: Plan[Any]
    findings: tuple[Finding, ...]
    outcome: str


@dataclass(frozen=True, slots=True)
class _Skipped:
    """Another run is at it, and --skip-if-running agrees with that."""

    error: LockBusy


_one_question = threading.Lock()


def change(
    asked: AskedChange,
    run: Run,
    targets: Sequence[Target],
    *,
    environment: str,
    first_alone: int = 0,
    jobs: int = 1,
    keep_going: bool = False,
    may_lose_data: bool = True,
    next_actions: tuple[str, ...] = (),
) -> Result:
    """Carry out (or, with --plan, show) what each target's plan says.

    The first `first_alone` targets go one by one, before the others that build on them run `jobs` at a time.
    """
    if not asked.plan and len(targets) > 1 and not render.stdin_is_terminal() and (may_lose_data or not asked.yes):
        _agreed_before_anything(asked, run, targets, keep_going=keep_going)

    def work(one: Target) -> _Done | _Skipped:
        return _watched(asked, one.name, lambda: _one(asked, run, one, environment))

    ended = each(targets[:first_alone], work, stop_on_failure=not keep_going)
    if keep_going or all(one.error is None for one in ended):
        ended += each(targets[first_alone:], work, jobs=jobs, stop_on_failure=not keep_going)
    else:
        ended += [Ended(one, begun=False) for one in targets[first_alone:]]
    return _told(asked, ended, environment, next_actions)


def _agreed_before_anything(asked: AskedChange, run: Run, targets: Sequence[Target], *, keep_going: bool) -> None:
    """Without a terminal, a confirmation that is missing for one target ends the command before the first."""
    looking = replace(run, plan_only=True)
    for target in targets:
        stop.check()
        try:
            with target.opening(looking) as ready:
                _agree(asked, ready.plan)
        except (ConfirmationRequired, Stopped):
            raise
        except DbopsError:
            if not keep_going:
                raise  # with --keep-going its own turn tells it, beside the others' outcomes


def _watched(asked: AskedChange, name: str, turn: Callable[[], _Done | _Skipped]) -> _Done | _Skipped:
    """Note how a target's turn ends, on whatever way: the metrics have a series for each."""
    began, code, skipped = clock.monotonic(), 0, False
    try:
        done = turn()
        match done:
            case _Done():
                code = int(exit_code(done.findings))
            case _Skipped():
                skipped = True
    except BaseException as error:
        code = watch.code_of(error)
        raise
    else:
        return done
    finally:
        took = timedelta(seconds=clock.monotonic() - began)
        asked.invocation.watch.ended(name, code, took, skipped=skipped)


def _one(asked: AskedChange, run: Run, target: Target, environment: str) -> _Done | _Skipped:
    with ExitStack() as stack:
        try:
            ready = stack.enter_context(target.opening(run))
        except LockBusy as error:  # only here: a lock that the application holds later is a failure
            if asked.skip_if_running:
                return _Skipped(error)
            raise
        asked.invocation.watch.working()
        plan = ready.plan
        if asked.expect_plan and plan.sha not in asked.expect_plan:
            raise Refused(
                f"the plan is {plan.sha}, not the expected one",
                hint="look at it with --plan: the target has changed since",
                target=plan.target,
            )
        if asked.plan:
            return _Done(plan, ready.findings, "planned")
        if not plan.steps:
            return _Done(plan, ready.findings, "nothing to do")
        with _one_question:
            _agree(asked, plan, environment)
        with journal.opened(
            run.state_dir,
            run.id,
            plan.target,
            command=run.command,
            actor=run.actor,
            host=run.holder["host"],
            pid=run.holder["pid"],
            environment=environment,
        ) as log:
            execute(ready, log, render.progress)
        return _Done(plan, (*ready.findings, *ready.met), "done")


def _agree(asked: AskedChange, plan: Plan[Any], environment: str = "") -> None:
    """Ask in proportion to the harm of the worst step."""
    where = f"{plan.target}{f' ({environment})' if environment else ''}"
    blocking = sum(step.risk > Risk.SAFE for step in plan.steps)
    match plan.risk:
        case Risk.SAFE:
            return
        case Risk.BLOCKS:
            if asked.yes or plan.target in (asked.confirm or ()):
                return
            if render.stdin_is_terminal():
                render.plan_preview(plan, environment)
            told = f"{blocking} step{'s' if blocking > 1 else ''} of the plan for {where} can block or remove something"
            if not render.stdin_is_terminal():
                raise ConfirmationRequired(told, hint="look with --plan, then agree with --yes", target=plan.target)
            if render.ask(f"{told}. Go on? [y/N] ").lower() not in {"y", "yes"}:
                raise ConfirmationRequired("not confirmed; nothing was changed", target=plan.target)
        case Risk.LOSES_DATA:
            if plan.target in (asked.confirm or ()):
                return
            if render.stdin_is_terminal():
                render.plan_preview(plan, environment)
            told = f"the plan for {where} removes data that has no verified copy"
            if not render.stdin_is_terminal():
                raise ConfirmationRequired(
                    told, hint=f"look with --plan, then agree with --confirm {plan.target}", target=plan.target
                )
            if render.ask(f"{told}. Type {plan.target} to go on: ") != plan.target:
                raise ConfirmationRequired("not confirmed; nothing was changed", target=plan.target)


def _told(
    asked: AskedChange,
    ended: Sequence[Ended[Target, _Done | _Skipped]],
    environment: str,
    next_actions: tuple[str, ...],
) -> Result:
    """Put many targets into one result; one target's error stays an error of the whole command."""
    for one in ended:
        if one.error is not None and (len(ended) == 1 or not isinstance(one.error, DbopsError)):
            raise one.error
    told = [_told_of(one, environment, shown=asked.plan) for one in ended]
    if stop.requested() and not all(one.begun for one in ended):
        told.append(_stopped())
    return Result(
        Changed(environment, tuple(p for t in told for p in t.plans), tuple(s for t in told for s in t.steps)),
        tuple(part for t in told for part in t.screen),
        tuple(finding for t in told for finding in t.findings),
        next_actions,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What one target adds to the result."""

    plans: tuple[PlanTold, ...] = ()
    steps: tuple[StepTold, ...] = ()
    findings: tuple[Finding, ...] = ()
    screen: Screen = ()


def _told_of(one: Ended[Target, _Done | _Skipped], environment: str, *, shown: bool) -> _Told:
    match one.result or one.error:
        case _Done(plan, findings, outcome):
            told = PlanTold(plan.target, plan.title, plan.sha, plan.risk, len(plan.steps), outcome)
            steps = tuple(
                StepTold(plan.target, s.id, s.summary, s.risk, tuple(t.shown() for t in s.statements), s.notes)
                for s in plan.steps
            )
            screen = render.plan_screen(plan, environment) if shown else _lines(plan, outcome)
            return _Told((told,), steps, findings, screen)
        case _Skipped(error):
            return _without_plan(one.item.name, error, skipped=True)
        case DbopsError() as error:
            return _without_plan(one.item.name, error)
        case _:
            told = PlanTold(one.item.name, "", "", Risk.SAFE, 0, "not begun")
            return _Told((told,), screen=(Line(f"{one.item.name}: not begun", Tone.FAINT),))


def _without_plan(name: str, error: DbopsError, *, skipped: bool = False) -> _Told:
    code = ExitCode.OK if skipped else error.exit_code
    outcome = "skipped" if skipped else "failed"
    finding = failure(error, name)
    return _Told(
        (PlanTold(name, error.message, "", Risk.SAFE, 0, outcome, int(code)),),
        findings=(replace(finding, severity=Severity.INFO) if skipped else finding,),
        screen=(Line(f"{name}: {outcome}", Tone.FAINT if skipped else Tone.BAD),),
    )


def _stopped() -> _Told:
    """What was not begun because of a signal is not done: the exit code has to say so."""
    return _Told(findings=(failure(stop.stopped(), "-"),))


def _lines(plan: Plan[Any], outcome: str) -> Screen:
    count = len(plan.steps)
    steps = f", {count} step{'s' if count > 1 else ''}" if count else ""
    return (Line(f"{plan.target}: {plan.title}: {outcome}{steps}", Tone.GOOD),)
