"""`dbops pitr restore --in-place`: the cluster itself goes back, and what it was stays beside it."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dbops import units
from dbops.cli.door import Result
from dbops.cli.flow import PlanTold, StepTold, Target, change
from dbops.cli.options import AskedChange
from dbops.cli.screen import Line, Screen, Tone
from dbops.engine import clock
from dbops.engine.ending import Measure

if TYPE_CHECKING:
    from dbops.operations.clusters.reach.facts import Target as Moment
    from dbops.operations.clusters.restore.in_place_facts import InPlace


@dataclass(frozen=True, slots=True)
class InPlaceTold:
    """The data of `pitr restore --in-place`."""

    environment: str
    plans: tuple[PlanTold, ...]
    steps: tuple[StepTold, ...]
    in_place: tuple["InPlace", ...]


def in_place(asked: AskedChange, target: str | None, moment: "Moment", *, delta: bool) -> Result:
    """Bring the cluster back where it is."""
    from dbops.operations.clusters.reach import ready as reaching
    from dbops.operations.clusters.restore import goals, ready
    from dbops.operations.clusters.restore.in_place_apply import Told
    from dbops.operations.clusters.restore.in_place_ready import in_place as opened
    from dbops.operations.clusters.restore.sweeping import swept

    loaded = asked.load()
    config = loaded.config
    name = ready.cluster(config, target)
    run = asked.run(loaded.state_dir)
    told = Told()

    def choose(timeline: int | None) -> goals.Goal:
        own = replace(moment, timeline=moment.timeline or timeline)
        return goals.goal(reaching.plan_target(config, name, own, run, clock.now()))

    opening = partial(opened, config, name, choose=choose, wanted=moment.told, delta=delta, told=told)
    result = change(asked, run, [Target(name, opening)], environment=config.platform.environment)
    done = result.data
    screen = result.screen if asked.plan else tuple(line for one in told.done for line in _screen(one))
    return replace(
        result,
        data=InPlaceTold(done.environment, done.plans, done.steps, tuple(told.done)),
        screen=screen,
        findings=(*result.findings, *swept(run, clock.now())),
        measures=tuple(
            Measure(one.target, "rto", one.writable, config.cluster[one.target].objectives.rto) for one in told.done
        ),
    )


def _screen(one: "InPlace") -> Screen:
    last = f", the last commit is of {one.last_commit}" if one.last_commit else ""
    lines = [
        Line(f"{one.target}: is back at {one.wanted}, from set {one.label}{last}", Tone.GOOD),
        Line(f"timeline {one.timeline or 'new'}; it took writes after {units.duration(one.writable)}", indent=2),
    ]
    if one.wal:
        lines.append(Line(f"the WAL of before is in {one.wal}", indent=2))
    if one.way_back:
        lines.append(Line("the way back, line by line, then: dbops backup run --type full", indent=2))
        lines += [Line(line, Tone.STRONG, indent=4) for line in one.way_back]
    return tuple(lines)
