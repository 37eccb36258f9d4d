"""What stands against a switch, and what to do about it.

DBM411 a server's pg_stat_statements cannot be read: whether the old is still used will stay unknown · DBM412 somebody
went on without proof, and said why
"""

from dbops.errors import CouldNotVerify, DbopsError, Refused
from dbops.operations.migrate.life import State, Told
from dbops.operations.migrate.switch.facts import ALL, REVERSE, Facts


def refusal(facts: Facts) -> DbopsError | None:
    """Tell why readers may not follow; None: nothing stands against it."""
    name, target = facts.change, facts.target
    verify = f"dbops migrate verify {name} --target {target}"
    if facts.life.elsewhere:
        told = f"what is known of change {name} was found in another database (this is a clone or a restored copy): "
        return CouldNotVerify(told + "unknown here, verify it again", hint=verify, target=target)
    if facts.life.state is State.SWITCHED:
        if facts.wanted == ALL:
            return None
        back = f"dbops migrate rollback {name} --target {target}"
        return Refused(f"all readers of change {name} follow already, since it was switched", hint=back, target=target)
    if facts.wanted <= facts.percent and facts.wanted < ALL:
        return None  # fewer than now can do no harm
    if reason := _unproven(facts):
        return Refused(f"change {name} {reason}", hint=verify, target=target)
    return _one_way(facts) if facts.wanted == ALL else None


def _unproven(facts: Facts) -> str | None:
    """Tell what is missing of the proof that the new holds what the old does."""
    if not facts.ways:
        return None if facts.life.state in {State.EXPANDED, State.VERIFIED} else f"is {facts.life.state}"
    state = facts.life.state
    accepted = state is State.BACKFILLED and _overridden(facts)
    if facts.proof is None or not (state is State.VERIFIED or accepted):
        return f"is {state}, not verified: readers may only follow to what is alike"
    if facts.proof.detail.get("triggers") != facts.triggers:
        return "was verified under other triggers than are there now"
    if facts.works is not None and _works(facts.proof) != facts.works:
        return "was verified before its revision was changed: it compares otherwise now"
    return None if facts.forward else "was found to differ when it was last compared"


def _works(proof: Told) -> frozenset[str]:
    return frozenset(str(way.get("work")) for way in proof.detail.get("ways", ()))


def _one_way(facts: Facts) -> DbopsError | None:
    if not facts.ways or facts.reversed or _overridden(facts):
        return None
    missing = "has no comparison for the way back" if "back" not in facts.ways else "differs on the way back"
    return Refused(
        f"change {facts.change} {missing}: after the switch, a rollback might lose what was written",
        hint=f'if that is known and accepted: --override {REVERSE} --reason "..."',
        target=facts.target,
    )


def _overridden(facts: Facts) -> bool:
    return any(one.gate == REVERSE for one in facts.overrides)
