"""The deepest proof: restore beside the cluster, start it, and look at the data."""

from dataclasses import replace

from dbops.config.model import Config
from dbops.engine import clock
from dbops.engine.finding import Finding, Severity
from dbops.engine.journal import Journal
from dbops.engine.run import Run, execute
from dbops.errors import ConfigInvalid, DbopsError, Stopped, UsageError, VerifiedBad
from dbops.operations.clusters.prove.reading import OnProgress
from dbops.operations.clusters.reach import ready as reaching
from dbops.operations.clusters.reach.facts import Target
from dbops.operations.clusters.restore import goals, ready
from dbops.operations.clusters.restore.apply import Told
from dbops.operations.clusters.restore.facts import Goal, Wanted


def proved(config: Config, target: str, run: Run, label: str | None, *, log: Journal, on_progress: OnProgress) -> Told:
    """Restore the end of the archive, or the end of one set; the restore remembers what it has proved."""
    told = Told()
    acting = replace(run, plan_only=False)
    moment = Target("latest") if label is None else Target("immediate", label=label)

    def choose() -> Goal:
        return goals.goal(reaching.plan_target(config, target, moment, acting, clock.now()))

    try:
        with ready.scratch(
            config, target, acting, choose, wanted=Wanted(verify=True), now=clock.now(), told=told
        ) as one:
            execute(one, log, on_progress)
    except (Stopped, ConfigInvalid, UsageError):
        raise
    except VerifiedBad as error:
        message = f"a restore does not bring the cluster back: {error.message}"
        told.findings.append(Finding(Severity.BAD, "DBB327", target, message, error.hint))
    except DbopsError as error:
        message = f"a restore could not be tried: {error.message}"
        told.findings.append(Finding(Severity.UNKNOWN, "DBB327", target, message, error.hint))
    return told
