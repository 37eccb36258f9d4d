"""Bringing a cluster under backup, ready to be planned and run; and looking at all of them."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dbops.config.model import Cluster, Config
from dbops.engine import stop
from dbops.engine.finding import Finding, Verdict, failure, verdict
from dbops.engine.plan import Ready
from dbops.engine.run import Progress, Run
from dbops.errors import AuthenticationFailed, ConfigInvalid, DbopsError, Refused, Stopped, Unreachable, UsageError
from dbops.operations.clusters import locks
from dbops.operations.clusters.init import check, observe, plan, refused, settings
from dbops.operations.clusters.init.apply import Doing, apply
from dbops.operations.clusters.init.facts import Facts, Server
from dbops.stores import postgres


def targets(config: Config, names: Sequence[str]) -> list[str]:
    """Name the clusters that have a stanza, or those that were asked for."""
    for name in names:
        if name not in config.cluster:
            raise UsageError(f"{name!r} is no cluster", hint=f"one of: {', '.join(config.cluster) or 'none'}")
    found = list(dict.fromkeys(names)) or [name for name, one in config.cluster.items() if one.stanza is not None]
    if not found:
        raise ConfigInvalid("no cluster has a stanza", hint='set [cluster.NAME] stanza = "..."')
    return found


@contextmanager
def init(
    config: Config,
    target: str,
    run: Run,
    *,
    restart: bool,
    toml: Path | None,
    on_progress: Callable[[Progress], None],
) -> Generator[Ready[plan.Action]]:
    """Plan what is missing for backups of a cluster. Lock subject: backup."""
    place = config.cluster[target]
    observe.wanted(place, target)  # without a stanza there is no need to knock
    with postgres.connect(place, run, target=target) as connection:
        there = observe.server(connection)
        who = _account(place, there, target)
        known = _with(config, target, place, there, who)
        with locks.held(known, target, run) as guard:
            with postgres.translated(target):
                there = observe.server(connection)
            facts = observe.observe(known, target, known.cluster[target], there, who=who)
            _refuse(facts, restart=restart)
            doing = Doing(known, run, facts, connection, toml, on_progress)
            yield Ready(
                plan.plan(facts, restart=restart),
                partial(apply, doing),
                guard,
                (*guard.findings, *check.while_initializing(facts, restarting=restart)),
                met=doing.told,
            )


def _account(place: Cluster, there: Server, target: str) -> str | None:
    data = Path(there.data_directory)
    who = observe.account(place, data, target)
    if place.data_directory is not None and place.data_directory.resolve() != data.resolve():
        raise Refused(
            f"the server is in {data}, and data_directory names {place.data_directory}",
            hint="does the dsn lead to the server that is meant?",
            target=target,
        )
    return who


def _with(config: Config, target: str, place: Cluster, there: Server, who: str | None) -> Config:
    """Complete the cluster by what its server tells: who owns it, and where it is."""
    told = {"run_as": who, "data_directory": Path(there.data_directory)}
    return config.model_copy(update={"cluster": {**config.cluster, target: place.model_copy(update=told)}})


def _refuse(facts: Facts, *, restart: bool) -> None:
    target = facts.target
    if not facts.keys:
        raise ConfigInvalid(
            "the cluster has no repository",
            hint=f'[cluster.{target}.repository.1] path = "/var/lib/pgbackrest"',
            target=target,
        )
    if facts.conf.main.exists and not facts.conf.main.readable:
        raise Refused(
            f"{facts.conf.main.path} cannot be read", hint=f"run dbops as {facts.account} or as root", target=target
        )
    why = refused.refusal(facts)
    if why is not None:
        raise Refused(why[0], hint=why[1], target=target)
    if restart and plan.needs_restart(facts) and not facts.restart:
        raise Refused(
            "how this server is restarted is not known",
            hint="run without --restart, restart it as it is started, then run again",
            target=target,
        )


@dataclass(frozen=True, slots=True)
class Audited:
    """How one cluster stands."""

    target: str
    verdict: Verdict
    deviations: tuple[check.Deviation, ...]


def audit(config: Config, names: Sequence[str], run: Run) -> tuple[list[Audited], list[Finding]]:
    """Judge clusters; what cannot be looked at could not be verified, which is no pass."""
    found: list[Audited] = []
    findings: list[Finding] = []
    for name in names:
        stop.check()
        try:
            one = _audited(config, name, run)
        except (Stopped, ConfigInvalid):
            raise
        except DbopsError as error:
            findings.append(failure(error, name))
            continue
        found.append(one)
        findings += [deviation.finding for deviation in one.deviations]
    return found, findings


def _audited(config: Config, target: str, run: Run) -> Audited:
    place = config.cluster[target]
    observe.wanted(place, target)
    there: Server | None = None
    unreachable: str | None = None
    try:
        with postgres.connect(place, run, target=target) as connection:
            there = observe.server(connection)
    except (Unreachable, AuthenticationFailed) as error:
        unreachable = error.message.splitlines()[0]
    if there is not None:
        who = _account(place, there, target)
        config = _with(config, target, place, there, who)
        place = config.cluster[target]
    else:
        who = observe.account(place, place.data_directory, target)
    facts = observe.observe(config, target, place, there, who=who, unreachable=unreachable)
    told = (*check.server(facts), *check.repositories(facts), *check.passes(facts), *settings.settings(facts))
    return Audited(target, verdict([one.finding for one in told]), told)
