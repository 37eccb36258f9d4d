"""Retiring, ready to be planned and run: the tables of one database, under the lock of its partitions."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cache, partial

from dbops.config.load import resolve
from dbops.config.model import Config
from dbops.engine.finding import Finding
from dbops.engine.plan import Plan, Ready, Step
from dbops.engine.run import Run
from dbops.errors import ConfigInvalid
from dbops.operations.partitions import retire_plan as planning
from dbops.operations.partitions.facts import Wish
from dbops.operations.partitions.retire_apply import SUBJECT, Doing, apply
from dbops.operations.partitions.retire_copy import Vaulted
from dbops.operations.partitions.retire_facts import Action, InstallLedger, Retired
from dbops.operations.partitions.retire_observe import observe
from dbops.stores import databases, ledger, postgres
from dbops.stores import vault as vaults
from dbops.stores.postgres import Connection
from dbops.stores.vault import Store


@contextmanager
def retire(
    config: Config, target: str, wishes: Sequence[Wish], run: Run, *, now: datetime, told: list[Finding]
) -> Generator[Ready[Action]]:
    """Plan what is left to do with partitions whose retention is over; `told` grows while the plan is run."""
    place, vaulted = config.postgres[target], vaulted_by(config)
    with postgres.connect(place, run, target=target) as connection, ExitStack() as stack:
        guard: Callable[[], None] = lambda: None  # noqa: E731
        if not run.plan_only:
            postgres.reap_dead_runs(connection, target)
            guard = stack.enter_context(postgres.only_run(place, run, target=target, subject=SUBJECT))
        tables = _observed(connection, target, wishes, vaulted, now)
        plans = [planning.plan(table, wish, now) for table, wish in tables]
        findings = tuple(f for table, wish in tables for f in planning.findings(table, wish, now))
        administrator = partial(databases.administrator, config, target, run)
        does: dict[str, Doing] = {}
        steps: list[Step[Action]] = []
        for (table, _), one in zip(tables, plans, strict=True):
            doing = Doing(connection, run, table, vaulted, administrator, told)
            # the ledger is the database's: the first table that has something to do brings it
            fresh = [s for s in one.steps if not (isinstance(s.action, InstallLedger) and "ledger" in does)]
            does |= {step.id: doing for step in fresh}
            steps += fresh

        def do(step: Step[Action]) -> None:
            with postgres.translated(target):
                apply(does[step.id], step)

        title = plans[0].title if len(plans) == 1 else f"retire partitions of {len(plans)} tables"
        yield Ready(Plan(target, title, tuple(steps)), do, guard, findings)


def _observed(
    connection: Connection, target: str, wishes: Sequence[Wish], vaulted: Vaulted, now: datetime
) -> Sequence[tuple[Retired, Wish]]:
    version = ledger.observe(connection, target=target)
    install = ledger.install(version, owner=connection.info.user)
    return [
        (
            observe(
                connection,
                wish,
                target=target,
                now=now,
                ledger=version,
                install=install,
                vault=vaulted.store if wish.action == "archive" else None,
            ),
            wish,
        )
        for wish in wishes
    ]


def vaulted_by(config: Config) -> Vaulted:
    """Reach the vault when it is needed, and not before: not every table is archived."""

    @cache
    def store() -> Store:
        if config.vault is None:
            raise ConfigInvalid("partitions are archived to a vault, and the configuration names none")
        return vaults.connect(config.vault, target="vault")

    @cache
    def identity() -> str | None:
        told = config.vault.identity if config.vault is not None else None
        return None if told is None else resolve(told, target="vault")

    return Vaulted(store, config.vault.recipients if config.vault is not None else (), identity)
