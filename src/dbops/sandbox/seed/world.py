"""Who belongs to whom: every row, document, entry and key takes its references from here.

A thing has a number, and everything about it follows from that number by arithmetic. So no store has to be asked
what another one holds, and each table can be made alone, in any process, in any order, at any time again.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b

from dbops.sandbox.seed.facts import Size, label

AUDIT_MONTHS = 14
COST_MONTHS = 24
RECENT_DAYS = 80  # documents live 90 days
_GOLDEN = 0.6180339887498949
_FROM_MIDNIGHT_TO_MIDNIGHT = range(24)
_BUSY = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 18, 16, 12, 16, 18, 17, 14, 10, 6, 4, 3, 2, 2, 1)


def id_of(kind: str, number: int) -> str:
    """Return the UUID of a thing; everybody who refers to it comes to the same one."""
    h = blake2b(f"{kind}/{number}".encode(), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def mixed(number: int) -> int:
    """Draw a number for a number: rests of the draw say nothing about rests of the number."""
    return (number + 1) * 0x9E3779B97F4A7C15 % 2**64 >> 32


def fresh(chance: random.Random, count: int) -> Iterator[str]:
    """Make UUIDs that nobody refers to: much faster than `id_of`."""
    for first in range(0, count, 1000):
        h = chance.randbytes(16 * min(1000, count - first)).hex()
        for i in range(0, len(h), 32):
            yield f"{h[i : i + 12]}4{h[i + 13 : i + 16]}a{h[i + 17 : i + 32]}"


def month_before(day: date, months: int) -> date:
    """Return the first day of the month that is `months` before that of `day`."""
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def months(first: date, until: date) -> tuple[date, ...]:
    """Name every month that has a day from `first` to before `until`, by its first day."""
    found: list[date] = []
    month = first.replace(day=1)
    while month < until:
        found.append(month)
        month = month_before(month, -1)
    return tuple(found)


def stamp(moment: datetime) -> str:
    """Write an instant as PostgreSQL reads it."""
    return moment.isoformat(" ", "milliseconds")


def instant(moment: datetime) -> str:
    """Write an instant as documents hold it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class World:
    """Everything that the seed makes up, at one size, up to one day."""

    size: Size
    until: date

    @property
    def label(self) -> str:
        return label(self.size.name, self.until)

    @property
    def end(self) -> datetime:
        return datetime(self.until.year, self.until.month, self.until.day, tzinfo=UTC)

    def chance(self, what: str) -> random.Random:
        """Return the dice of one table: what another one throws does not change them."""
        return random.Random(f"dbops/{what}")  # noqa: S311  # the same every time is the purpose

    # ── Tenants and people ───────────────────────────────────────────────────────────────────────

    def tenant_of(self, number: int) -> int:
        """Return the tenant of a user, an agent, a resource, a tool: they are dealt out in turn."""
        return number % self.size.tenants

    def user_in(self, tenant: int, number: int) -> int:
        """Return some user of a tenant."""
        return tenant + self.size.tenants * (number % (self.size.users // self.size.tenants))

    def agent_in(self, tenant: int, number: int) -> int:
        return tenant + self.size.tenants * (number % (self.size.agents // self.size.tenants))

    # ── Executions, newest first ─────────────────────────────────────────────────────────────────

    def agent_of(self, execution: int) -> int:
        """Return who ran; a few agents do most of the work."""
        fraction = execution * _GOLDEN % 1.0
        return int(fraction * fraction * self.size.agents)

    def user_of(self, execution: int) -> int:
        return self.user_in(self.tenant_of(self.agent_of(execution)), execution * 31)

    def started(self, execution: int) -> datetime:
        recent = self.size.executions
        if execution < recent:
            days = RECENT_DAYS * (execution + 1) / recent
        else:
            older = (self.end.date() - month_before(self.until, AUDIT_MONTHS)).days - RECENT_DAYS
            days = RECENT_DAYS + older * (execution - recent) / max(1, self.size.prompts - recent)
        return self.end - timedelta(milliseconds=int(days * 86_400_000))

    def took(self, execution: int) -> timedelta:
        return timedelta(milliseconds=640 + execution * 7919 % 11_000)

    def tokens(self, execution: int) -> int:
        return 180 + execution * 104_729 % 3_900

    def status(self, execution: int) -> str:
        """Only what began last still runs."""
        if execution < self.size.executions // 50:
            return "pending" if execution % 3 == 0 else "running"
        draw = execution * 37 % 100
        return "failed" if draw < 5 else "cancelled" if draw < 7 else "completed"

    @property
    def sessions(self) -> int:
        """Every second execution was a conversation: `session n` is that of `execution n`."""
        return self.size.executions // 2

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────

    def ago(self, days: float) -> datetime:
        return self.end - timedelta(milliseconds=int(days * 86_400_000))

    def stamps(self, chance: random.Random, count: int, months_back: int) -> Iterator[str]:
        """Spread rows over whole months up to the end, day by day, most of them in working hours."""
        first = month_before(self.until, months_back)
        days = (self.until - first).days
        hours = chance.choices(_FROM_MIDNIGHT_TO_MIDNIGHT, _BUSY, k=4096)
        times = [
            f"{hour:02}:{chance.randrange(60):02}:{chance.randrange(60):02}.{chance.randrange(1000):03}+00"
            for hour in hours
        ]
        for number in range(days):
            day = str(first + timedelta(days=number))
            today = count * (number + 1) // days - count * number // days
            for time in chance.choices(times, k=today):
                yield f"{day} {time}"
