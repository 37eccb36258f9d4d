"""From views and what is wanted of them to refreshes, each behind those that it builds on; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Plan, Risk, Statement, Step
from dbops.errors import Refused
from dbops.operations.views import sql
from dbops.operations.views.facts import Declared, Facts, Outcome, Setting, View, Wanted

_EARLY = 0.9  # cron comes a little early, too: what is due within a tenth of the schedule is due now
_SHARE = 0.9  # of the schedule is the timeout, where none is declared


class How(StrEnum):
    """How a view is filled."""

    CONCURRENTLY = "concurrently"
    PLAIN = "plain"
    FIRST_FILL = "first fill"


@dataclass(frozen=True, slots=True)
class InstallLedger:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Refresh:
    oid: int
    schema: str
    name: str
    how: How
    timeout: timedelta
    skippable: bool  # when nothing has changed by the time that its turn comes
    after: frozenset[int] = frozenset()  # views of this plan that it reads

    @property
    def statement(self) -> Statement:
        return sql.refresh(self.schema, self.name, concurrently=self.how is How.CONCURRENTLY)


@dataclass(frozen=True, slots=True)
class Together:
    """Views that do not read one another, several at a time."""

    refreshes: tuple[Refresh, ...]
    jobs: int


Action = InstallLedger | Refresh | Together


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, what it leaves out and why, and whose locks it needs."""

    plan: Plan[Action]
    findings: tuple[Finding, ...] = ()
    subjects: tuple[str, ...] = ()
    unchanged: tuple[int, ...] = ()


def declaration(declared: Declared, view: View) -> Setting | None:
    """Find what is declared of a view: by its name, with the schema outside of public."""
    plain = view.name if view.schema == "public" else None
    return declared.get(view.shown) or declared.get(f"{view.schema}.{view.name}") or declared.get(plain or "")


def plan(
    facts: Facts,
    wanted: Wanted,
    declared: Declared,
    ledger: tuple[Statement, ...],
    *,
    downstream: frozenset[int] = frozenset(),
    busy: Mapping[str, Finding] | None = None,
) -> Planned:
    """Decide for each chosen view: refresh it, leave it alone because nothing has changed, or say why it cannot be."""
    choice = _Choice(facts.target, wanted, declared, busy or {})
    chosen = _chosen(facts, wanted, declared, downstream)
    for view in facts.views if not facts.standby else ():
        if view.oid in chosen:
            choice.consider(view)
    steps = _steps(choice.refreshes, wanted.jobs)
    if steps and ledger:
        installing: Step[Action] = Step(
            "ledger", "install the ledger of dbops, schema dbops", InstallLedger(ledger), statements=ledger
        )
        steps = [installing, *steps]
    findings = choice.findings
    if facts.standby:
        findings = [Finding(Severity.INFO, "standby", facts.target, "a standby: its primary refreshes the views")]
    subjects = tuple(sorted(choice.views[one.oid].subject for one in choice.refreshes))
    unchanged = tuple(view.oid for view in facts.views if not view.changed and declaration(declared, view))
    return Planned(Plan(facts.target, "refresh materialized views", tuple(steps)), tuple(findings), subjects, unchanged)


@dataclass(slots=True)
class _Choice:
    """What has been decided so far, in the order in which views build on one another."""

    target: str
    wanted: Wanted
    declared: Declared
    busy: Mapping[str, Finding]
    refreshes: list[Refresh] = field(default_factory=list["Refresh"])
    findings: list[Finding] = field(default_factory=list[Finding])
    left_out: set[int] = field(default_factory=set[int])
    views: dict[int, View] = field(default_factory=dict[int, View])

    def consider(self, view: View) -> None:
        self.views[view.oid] = view
        setting = declaration(self.declared, view) or Setting()
        planned = view.parents & {one.oid for one in self.refreshes}
        reason = self._reason(view, setting, planned)
        if not reason:
            return
        obstacle = self._obstacle(view, setting)
        if obstacle is not None:
            self.left_out.add(view.oid)
            self.findings.append(obstacle)
            return
        self.refreshes.append(
            Refresh(
                view.oid,
                view.schema,
                view.name,
                _how(view, setting),
                timeout(setting),
                skippable=setting.skip_unchanged and not self.wanted.force and not view.opaque,
                after=planned,
            )
        )

    def _reason(self, view: View, setting: Setting, planned: frozenset[int]) -> str:
        if self.wanted.force:
            return "it was asked for"
        below = self.left_out & view.parents or planned
        return (
            view.changed
            or ("a view below it is refreshed" if below else "")
            or ("" if setting.skip_unchanged else "skip_unchanged is off")
        )

    def _obstacle(self, view: View, setting: Setting) -> Finding | None:
        if view.subject in self.busy:
            return self.busy[view.subject]
        if parents := sorted(self.views[oid].shown for oid in view.parents & self.left_out):
            told = f"{view.shown} is left out, because {' and '.join(parents)} below it cannot be refreshed"
            return Finding(Severity.INFO, "left-out", self.target, told)
        if view.bound:
            told = f"{view.shown} would lose rows and say nothing: {'; '.join(view.bound)}"
            return Finding(Severity.ERROR, "refused", self.target, told, "give the view an owner with BYPASSRLS")
        if not view.may_refresh:
            told = f"{view.shown} belongs to {view.owner}, whose member the connected role is not"
            return Finding(Severity.ERROR, "refused", self.target, told, "connect as the owner of the database")
        if setting.mode == "concurrently" and view.populated and view.key is None:
            told = f"{view.shown} cannot be refreshed concurrently: {why_plain(view)}"
            return Finding(Severity.ERROR, "refused", self.target, told, view.index_ddl)
        return None


def why_plain(view: View) -> str:
    """Say what a concurrent refresh lacks."""
    if view.invalid:
        return f"its unique index {', '.join(view.invalid)} is invalid"
    return "it has no unique index on plain columns, over all rows"


def timeout(setting: Setting) -> timedelta:
    """Say how long a refresh may take; zero is without end."""
    return setting.timeout or (setting.schedule * _SHARE if setting.schedule is not None else timedelta(0))


def _how(view: View, setting: Setting) -> How:
    if not view.populated:
        return How.FIRST_FILL
    return How.CONCURRENTLY if view.key is not None and setting.mode != "plain" else How.PLAIN


def _chosen(facts: Facts, wanted: Wanted, declared: Declared, downstream: frozenset[int]) -> frozenset[int]:
    if wanted.names:
        return frozenset(view.oid for view in chosen_by_name(facts, wanted.names))
    if wanted.stale:
        return frozenset(view.oid for view in facts.views if _due(facts, view, declaration(declared, view)))
    if wanted.downstream_of is None:
        return frozenset(view.oid for view in facts.views)
    reached = set(downstream)
    for view in facts.views:
        if view.below & reached:
            reached.add(view.oid)
    return frozenset(view.oid for view in facts.views if view.below & reached)


def chosen_by_name(facts: Facts, names: Iterable[str]) -> tuple[View, ...]:
    return tuple(_by_name(facts, name) for name in names)


def _by_name(facts: Facts, name: str) -> View:
    found = [view for view in facts.views if name in {view.shown, f"{view.schema}.{view.name}", view.name}]
    if len(found) != 1:
        some = f"names {len(found)} materialized views" if found else "is no materialized view"
        known = ", ".join(view.shown for view in found or facts.views)
        raise Refused(f"{name} {some} of {facts.target}", hint=f"one of: {known or 'none'}", target=facts.target)
    return found[0]


def _due(facts: Facts, view: View, setting: Setting | None) -> bool:
    every = None if setting is None else setting.schedule or setting.staleness
    if every is None:
        return False
    age = view.age(facts.now)
    failed = view.past.outcome is Outcome.FAILED
    return not view.populated or failed or age is None or age >= every * _EARLY


def _steps(refreshes: Iterable[Refresh], jobs: int) -> list[Step[Action]]:
    if jobs == 1:
        return [_step(one) for one in refreshes]
    waves: list[list[Refresh]] = []
    level: dict[int, int] = {}
    for one in refreshes:
        level[one.oid] = max((level[oid] + 1 for oid in one.after), default=0)
        if level[one.oid] == len(waves):
            waves.append([])
        waves[level[one.oid]].append(one)
    steps: list[Step[Action]] = []
    for number, wave in enumerate(waves, start=1):
        steps.append(_step(wave[0]) if len(wave) == 1 else _together(number, wave, jobs))
    return steps


def _step(one: Refresh) -> Step[Action]:
    shown = _shown(one)
    return Step(
        f"refresh {shown}",
        f"refresh {shown}, {one.how.value}",
        one,
        risk=Risk.BLOCKS if one.how is How.PLAIN else Risk.SAFE,
        statements=(one.statement,),
        notes=(_lock(one), *_limit(one)),
    )


def _together(number: int, wave: list[Refresh], jobs: int) -> Step[Action]:
    steps = [_step(one) for one in wave]
    return Step(
        f"refresh wave {number}",
        f"refresh {len(wave)} views, {min(jobs, len(wave))} at a time: {', '.join(map(_shown, wave))}",
        Together(tuple(wave), jobs),
        risk=max(step.risk for step in steps),
        statements=tuple(one.statement for one in wave),
        notes=tuple(note for step in steps for note in step.notes),
    )


def _shown(one: Refresh) -> str:
    return View(one.oid, one.schema, one.name, "").shown


def _lock(one: Refresh) -> str:
    match one.how:
        case How.CONCURRENTLY:
            return f"EXCLUSIVE on {_shown(one)}: who reads it goes on reading"
        case How.PLAIN:
            return f"ACCESS EXCLUSIVE on {_shown(one)}: who reads it waits until it is done"
        case How.FIRST_FILL:
            return f"{_shown(one)} was never filled: nobody can read it yet"


def _limit(one: Refresh) -> tuple[str, ...]:
    return (f"ends after {units.duration(one.timeout)}",) if one.timeout else ()


def plain_ones(facts: Facts, planned: Planned, declared: Declared) -> tuple[Finding, ...]:
    """Tell, for views that readers have to wait for, what a concurrent refresh lacks."""
    views = {view.oid: view for view in facts.views}
    told: list[Finding] = []
    for one in refreshes_of(planned.plan):
        setting = declaration(declared, views[one.oid])
        if one.how is How.PLAIN and (setting is None or setting.mode == "auto"):
            view = views[one.oid]
            message = f"{view.shown} is refreshed plainly, its readers wait: {why_plain(view)}"
            told.append(Finding(Severity.INFO, "plain-refresh", facts.target, message, view.index_ddl))
    return tuple(told)


def refreshes_of(plan: Plan[Action]) -> tuple[Refresh, ...]:
    """List the refreshes of a plan, in order."""
    found: list[Refresh] = []
    for step in plan.steps:
        match step.action:
            case Refresh() as one:
                found.append(one)
            case Together(refreshes):
                found += refreshes
            case InstallLedger():
                pass
    return tuple(found)


def with_findings(planned: Planned, more: Iterable[Finding]) -> Planned:
    return replace(planned, findings=(*planned.findings, *more))
