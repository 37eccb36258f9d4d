"""The life of a change from `new` to `contract` through the installed program, with its clients at work beside it.

What kinds of change there are is told in kinds.py. Kinds of one group share their tables, so that many changes are open
on a table at once.
"""

import itertools
import random
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbops.errors import ExitCode

import changing
import contracting
from contracting import ask, through
from loading import Ask, Client, Load, under_load

ROWS = 600
FIRST = "2026_01_01_0001"
_UNLOOKED = through("soak", "statements", "clients", "backup", "rehearsal")
_PAUSE_S = 0.1
_RUNS = 4
_KEYS = itertools.count(ROWS + 1)
_BODY = """def upgrade() -> None:
    op.execute({text!r})


def downgrade() -> None:
    pass
"""


@dataclass(frozen=True)
class Kind:
    """A life. `old` clients end before contract, `new` ones begin after expand; `ends` are queries and their rows."""

    name: str  # of the change
    words: tuple[str, ...]  # of `migrate new`
    old: tuple[Ask, ...] = ()
    new: tuple[Ask, ...] = ()
    verbs: tuple[str, ...] = ()  # between `up` and `contract`
    contracts: bool = False
    loses: bool = False  # what goes away then has no copy
    ends: tuple[tuple[str, Any], ...] = ()
    refused: tuple[str, ...] = ()  # a kind that tells to use this one instead


@dataclass(frozen=True)
class Group:
    """Kinds on the same tables."""

    name: str
    tables: str
    kinds: tuple[Kind, ...]
    read: tuple[str, ...]  # what somebody reads for long: tables that no kind takes away, in the order of our locks


@dataclass
class Beside:
    """What the clients of a life met."""

    loads: list[Load] = field(default_factory=list[Load])

    @property
    def transactions(self) -> int:
        return sum(one.transactions for one in self.loads)

    @property
    def failures(self) -> dict[tuple[str, str], int]:
        return {key: count for one in self.loads for key, count in one.failures.items()}

    @property
    def longest_wait_ms(self) -> float:
        return max(one.longest_wait_ms for one in self.loads)

    @property
    def long_reads(self) -> int:
        return sum(one.long_reads for one in self.loads)


def some(chance: random.Random) -> int:
    return chance.randrange(1, ROWS + 1)


def fresh(_chance: random.Random) -> int:
    """Give each row a key of its own: keys are unique at the end, whoever wrote them."""
    return next(_KEYS)


def at(text: str) -> Ask:
    """Do something to a row that is there."""
    return Ask(text, lambda chance: (some(chance),))


def into(text: str) -> Ask:
    """Add a row."""
    return Ask(text, lambda chance: (fresh(chance),))


def to(text: str, value: Callable[[random.Random], object]) -> Ask:
    """Write something to a row that is there."""
    return Ask(text, lambda chance: (value(chance), some(chance)))


def word(chance: random.Random) -> str:
    return f"w{chance.randrange(10**6)}"


def number(chance: random.Random) -> int:
    return chance.randrange(100)


@contextmanager
def place(server: str, folder: Path, group: Group) -> Generator[changing.Example]:
    """Make a database with the tables of a group, under git, for a contraction has to be committed."""
    with changing.example(server, folder) as live:
        live.revision(1, _BODY.format(text=group.tables))
        contracting.git(live, "init", "-q")
        yield live


@contextmanager
def led(
    dbops: Any, live: changing.Example, group: Group, kinds: Sequence[Kind], *, read_s: float, pause_s: float = 0.0
) -> Generator[Beside]:
    """Take changes from `new` to `contract`; clients of before end when the old is to go, those of after go on.

    Who reads for long does so for `read_s` and comes back after `pause_s`.
    """
    beside = Beside()
    text = f"SELECT {', '.join(f'(SELECT count(*) FROM {table})' for table in group.read)}"
    long: dict[str, Any] = {"long_read": text, "long_read_s": read_s, "long_pause_s": pause_s}
    _patiently(dbops, live, "up", "--yes")
    with ExitStack() as after:
        with ExitStack() as before:
            olds = tuple(Client(f"old {one.name}", one.old, _PAUSE_S) for one in kinds if one.old)
            if olds:
                beside.loads.append(before.enter_context(under_load(live.app, olds, **long)))
            for one in kinds:
                _begin(dbops, live, one)
            _patiently(dbops, live, "up", "--yes")
            news = tuple(Client(f"new {one.name}", one.new or one.old, _PAUSE_S) for one in kinds if _goes_on(one))
            if news:
                beside.loads.append(after.enter_context(under_load(live.app, news, **({} if olds else long))))
            for one in kinds:
                for verb in one.verbs:
                    _do(dbops, live, one, verb)
        with under_load(live.app, (), **long) as load:
            beside.loads.append(load)
            for one in kinds:
                if one.contracts:
                    _contract(dbops, live, one)
            yield beside


def _goes_on(one: Kind) -> bool:
    return bool(one.new or (one.old and not one.contracts))


def _begin(dbops: Any, live: changing.Example, one: Kind) -> None:
    about = ("--change", one.name, "--impact", "none")
    if one.refused:
        told = ask(dbops, live, "new", *one.refused, *about, code=2)
        assert "dbops migrate new replace-table" in told["findings"][0]["hint"]
    ask(dbops, live, "new", *one.words, *about)


def _do(dbops: Any, live: changing.Example, one: Kind, verb: str) -> None:
    match verb:
        case "backfill":
            ask(dbops, live, "backfill", one.name, "--triggers", "fire")
        case "verify":
            ask(dbops, live, "verify", one.name)
        case _:
            _patiently(dbops, live, "switch", one.name, "--percent", "100", "--yes", code=3)  # nobody counts statements


def _contract(dbops: Any, live: changing.Example, one: Kind) -> None:
    ask(dbops, live, "contract", one.name, "--write", *_UNLOOKED)
    contracting.git(live, "add", "migrations")
    contracting.git(live, "commit", "-q", "-m", "Contract")
    agreed = ("--confirm", changing.TARGET) if one.loses else ("--yes",)
    _patiently(dbops, live, "contract", one.name, *_UNLOOKED, *agreed)


def _patiently(dbops: Any, live: changing.Example, *words: str, code: int = 0) -> None:
    """Run a verb again while it gives up for the application's sake, as its operator would."""
    told: dict[str, Any] = {}
    for _ in range(_RUNS):
        told = ask(dbops, live, *words, code=None)
        if told["exit_code"] != ExitCode.LOCKED:
            break
    assert told["exit_code"] == code, (words, told["findings"])


def ended(live: changing.Example, one: Kind) -> list[Any]:
    """Look at what a life has ended in."""
    return [live.execute(query) for query, _ in one.ends]


def wanted(one: Kind) -> list[Any]:
    return [rows for _, rows in one.ends]
