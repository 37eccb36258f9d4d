"""What stands against the way back, and what to do about it.

DBM421 new writers wrote what the old does not hold
"""

from dbops.errors import CouldNotVerify, DbopsError, Refused
from dbops.operations.migrate.rollback.facts import Facts


def refusal(facts: Facts) -> DbopsError | None:
    name, target = facts.change, facts.target
    if facts.life.elsewhere:
        told = f"what is known of change {name} was found in another database (this is a clone or a restored copy): "
        hint = f"dbops migrate verify {name} --target {target}"
        return CouldNotVerify(told + "unknown here, verify it again", hint=hint, target=target)
    if facts.readers_first:
        return None
    if facts.later and not facts.write and facts.pending is None:
        return Refused(
            f"{', '.join(facts.later)} came after {facts.expand}: it cannot be taken back by itself",
            hint=f"dbops migrate rollback {name} --target {target} --write makes a revision of it",
            target=target,
        )
    return None
