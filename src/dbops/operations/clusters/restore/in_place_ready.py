"""A restore in place, ready to be planned and run: one cluster, under the lock of its backups."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from dbops.config.model import Config
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.operations.clusters import locks
from dbops.operations.clusters.restore import in_place_earlier, in_place_plan
from dbops.operations.clusters.restore.in_place_apply import Doing, Told, apply, back, earlier
from dbops.operations.clusters.restore.in_place_check import interrupted, what_finished
from dbops.operations.clusters.restore.in_place_facts import Action
from dbops.operations.clusters.restore.in_place_observe import Choose, observe
from dbops.stores.pgbackrest.program import refuse_wrong_account


@contextmanager
def in_place(
    config: Config, target: str, run: Run, choose: Choose, *, wanted: str, delta: bool, told: Told
) -> Generator[Ready[Action]]:
    """Plan to bring a cluster back where it is; an interrupted one is gone on with. Lock subject: backup."""
    refuse_wrong_account(config.cluster[target], target=target)
    with locks.held(config, target, run) as guard:
        facts = observe(config, target, run, choose, wanted=wanted, delta=delta)
        in_place_plan.refuse(facts)
        doing = Doing(config, run, facts.note, told)
        before = tuple(what_finished(note) for note, _ in in_place_earlier.beside(run.state_dir, facts.note))
        facts = replace(facts, notes=(*facts.notes, *before))
        findings = (
            *guard.findings,
            *((interrupted(facts.note, back(doing)),) if facts.noted else ()),
            # A run that goes to its end tells them then: by that time the server is another one.
            *(earlier(doing, noted=facts.noted) if run.plan_only else ()),
        )
        yield Ready(in_place_plan.plan(facts), partial(apply, doing), guard, findings, met=told.findings)
