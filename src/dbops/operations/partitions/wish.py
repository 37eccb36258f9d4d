"""Read the wishes out of the configuration; pure."""

from dbops.config.model import Config
from dbops.config.model import Partition as Told
from dbops.operations.partitions.bounds import Interval
from dbops.operations.partitions.facts import Hold, Name, Policies, Wish


def place(text: str) -> Name:
    """Read `table` or `schema.table`."""
    schema, dot, name = text.rpartition(".")
    return (schema, name) if dot else ("public", text)


def wishes(config: Config, target: str) -> tuple[Wish, ...]:
    return tuple(_wish(name, told) for name, told in config.postgres[target].partition.items())


def _wish(name: str, told: Told) -> Wish:
    policies = told.policies
    return Wish(
        table=place(name),
        interval=Interval(told.interval),
        premake=told.premake,
        column=told.column,
        zone=told.zone,
        runway=told.runway,
        retention=told.retention,
        policies=Policies(place(policies.table), policies.kind, policies.days) if policies else None,
        action=told.action,
        grace=told.grace,
        holds=tuple(Hold(hold.first, hold.last, hold.reason) for hold in told.holds),
        default=told.default,
        pruned=tuple((one.sql, one.most) for one in told.pruned),
    )
